# mypy: disable-error-code="no-any-return"
# Elements of arrays are Any to mypy; numba infers every type.
"""Verdicts that have not matured yet, and a journal of what came and went to undo a batch.

They leave in the order in which they mature. Most come in that order, too, and wait in a queue;
the others wait in a heap. An entry is (matures at, key, verdicts, frauds, then the bits of the
carried values). Ties are broken by all of these, so that the order in which entries leave does not
depend on where they wait.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from model.jit import jit

Ints = NDArray[np.int64]
HEAP_N, JOURNAL_N, FIRST, END = range(4)
"""Places in `meta`: the numbers of entries in heap and journal, the queue's first and end."""
META = 4
MATURES, KEY, VERDICTS, FRAUDS, CARRIED = range(5)
"""The words of an entry."""


class Waiting(NamedTuple):
    """Where verdicts wait, and what undoes a batch.

    `heap` and `queue` i8[n, words of an entry]; `journal` i8[n, 1 + words of an entry] has 1 (came)
    or -1 (left) before each entry.
    """

    heap: Ints
    queue: Ints
    journal: Ints


@jit
def _before(a: Ints, i: int, b: Ints, j: int) -> bool:
    """Whether row `i` of `a` leaves before row `j` of `b`."""
    for k in range(a.shape[1]):
        if a[i, k] != b[j, k]:
            return a[i, k] < b[j, k]
    return False


@jit
def _move(to: Ints, i: int, entries: Ints, j: int) -> None:
    for k in range(entries.shape[1]):
        to[i, k] = entries[j, k]


@jit
def _note(journal: Ints, meta: Ints, change: int, entries: Ints, j: int) -> None:
    n = meta[JOURNAL_N]
    journal[n, 0] = change
    for k in range(entries.shape[1]):
        journal[n, k + 1] = entries[j, k]
    meta[JOURNAL_N] = n + 1


@jit
def push(heap: Ints, queue: Ints, journal: Ints, meta: Ints, entries: Ints, j: int) -> None:
    """Add row `j` of `entries`; there must be room for it in heap and queue, and in the journal."""
    _note(journal, meta, 1, entries, j)
    if meta[FIRST] == meta[END] or not _before(entries, j, queue, meta[END] - 1):
        _move(queue, meta[END], entries, j)
        meta[END] += 1
        return
    place = meta[HEAP_N]
    meta[HEAP_N] += 1
    while place > 0 and _before(entries, j, heap, (place - 1) // 2):
        _move(heap, place, heap, (place - 1) // 2)
        place = (place - 1) // 2
    _move(heap, place, entries, j)


@jit
def _heap_first(heap: Ints, queue: Ints, meta: Ints) -> bool:
    """Whether the first entry of all is the heap's; there is one."""
    return meta[FIRST] == meta[END] or (meta[HEAP_N] > 0 and _before(heap, 0, queue, meta[FIRST]))


@jit
def ripe(heap: Ints, queue: Ints, meta: Ints, time: int) -> bool:
    """Whether an entry has matured by `time`."""
    return (meta[HEAP_N] > 0 and heap[0, MATURES] <= time) or (
        meta[FIRST] < meta[END] and queue[meta[FIRST], MATURES] <= time
    )


@jit
def pop(heap: Ints, queue: Ints, journal: Ints, meta: Ints) -> Ints:
    """Take the first entry: a view of the journal, which has room for it."""
    if _heap_first(heap, queue, meta):
        _note(journal, meta, -1, heap, 0)
        _drop_root(heap, meta)
    else:
        _note(journal, meta, -1, queue, meta[FIRST])
        meta[FIRST] += 1
    return journal[meta[JOURNAL_N] - 1, 1:]


@jit
def _drop_root(heap: Ints, meta: Ints) -> None:
    meta[HEAP_N] -= 1
    last, place = meta[HEAP_N], 0
    while 2 * place + 1 < last:
        child = 2 * place + 1
        if child + 1 < last and _before(heap, child + 1, heap, child):
            child += 1
        if not _before(heap, child, heap, last):
            break
        _move(heap, place, heap, child)
        place = child
    _move(heap, place, heap, last)


def before(entries: Ints, journal: Ints) -> Ints:
    """The entries before the changes in `journal`, in the order in which they would leave."""
    rows = np.concatenate([entries, journal[:, 1:]])
    changes = np.concatenate([np.ones(len(entries), np.int64), -journal[:, 0]])
    kept, inverse = np.unique(rows, axis=0, return_inverse=True)
    counts = np.zeros(len(kept), np.int64)
    np.add.at(counts, inverse, changes)
    return np.repeat(kept, counts, axis=0)


def in_order(entries: Ints) -> Ints:
    """The entries in the order in which they will leave."""
    return entries[np.lexsort(entries.T[::-1])]
