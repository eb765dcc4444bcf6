# mypy: disable-error-code="no-any-return"
# Elements of arrays are Any to mypy; numba infers every type.
"""A heap of verdicts that have not matured yet, with a journal of what came and went so that a batch can be undone.

An entry is (matures at, key, verdicts, frauds, then the bits of the carried values); ties are broken by all of them, so
that the order in which entries leave never depends on where they lie.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from model.jit import jit

Ints = NDArray[np.int64]
HEAP_N, JOURNAL_N = 0, 1
MATURES, KEY, VERDICTS, FRAUDS, CARRIED = range(5)
"""The words of an entry."""


@jit
def _before(a: Ints, b: Ints) -> bool:
    for k in range(len(a)):
        if a[k] != b[k]:
            return a[k] < b[k]
    return False


@jit
def _move(to: Ints, entry: Ints) -> None:
    for k in range(len(entry)):
        to[k] = entry[k]


@jit
def _note(journal: Ints, meta: Ints, change: int, entry: Ints) -> None:
    n = meta[JOURNAL_N]
    journal[n, 0] = change
    _move(journal[n, 1:], entry)
    meta[JOURNAL_N] = n + 1


@jit
def push(heap: Ints, journal: Ints, meta: Ints, entry: Ints) -> None:
    """Add an entry; there must be room in the heap, and for one more in the journal."""
    _note(journal, meta, 1, entry)
    at = meta[HEAP_N]
    meta[HEAP_N] += 1
    while at > 0 and _before(entry, heap[(at - 1) // 2]):
        _move(heap[at], heap[(at - 1) // 2])
        at = (at - 1) // 2
    _move(heap[at], entry)


@jit
def pop(heap: Ints, journal: Ints, meta: Ints) -> Ints:
    """Take the first entry: a view of the journal, which has room for it."""
    _note(journal, meta, -1, heap[0])
    meta[HEAP_N] -= 1
    n = meta[HEAP_N]
    last, at = heap[n], 0
    while 2 * at + 1 < n:
        child = 2 * at + 1
        if child + 1 < n and _before(heap[child + 1], heap[child]):
            child += 1
        if not _before(heap[child], last):
            break
        _move(heap[at], heap[child])
        at = child
    _move(heap[at], last)
    return journal[meta[JOURNAL_N] - 1, 1:]


def before(entries: Ints, journal: Ints) -> Ints:
    """The entries that were there before the changes in `journal`; sorted, and so a heap again."""
    rows = np.concatenate([entries, journal[:, 1:]])
    changes = np.concatenate([np.ones(len(entries), np.int64), -journal[:, 0]])
    kept, of = np.unique(rows, axis=0, return_inverse=True)
    counts = np.zeros(len(kept), np.int64)
    np.add.at(counts, of, changes)
    return np.repeat(kept, counts, axis=0)


def in_order(entries: Ints) -> Ints:
    """The entries in the order in which they will leave."""
    return entries[np.lexsort(entries.T[::-1])]
