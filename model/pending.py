# mypy: disable-error-code="no-any-return"
# Elements of arrays are Any to mypy; numba infers every type.
"""A heap of verdicts that have not matured yet, with a journal of every write so that a batch can be undone.

An entry is (matures at, key, verdicts, frauds); ties are broken by all four, so that the order never depends on chance.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from model.jit import jit

Ints = NDArray[np.int64]
HEAP_N, JOURNAL_N = 0, 1


@jit
def _before(heap: Ints, a: int, b: int) -> bool:
    for k in range(4):
        if heap[a, k] != heap[b, k]:
            return heap[a, k] < heap[b, k]
    return False


@jit
def _note(heap: Ints, journal: Ints, meta: Ints, at: int) -> None:
    n = meta[JOURNAL_N]
    journal[n, 0] = at
    journal[n, 1:5] = heap[at]
    meta[JOURNAL_N] = n + 1


@jit
def _swap(heap: Ints, journal: Ints, meta: Ints, a: int, b: int) -> None:
    _note(heap, journal, meta, a)
    _note(heap, journal, meta, b)
    for k in range(4):
        heap[a, k], heap[b, k] = heap[b, k], heap[a, k]


@jit
def push(heap: Ints, journal: Ints, meta: Ints, matures: int, key: int, verdicts: int, frauds: int) -> None:
    """Add an entry; there must be room in the heap, and for 2 * 64 entries in the journal."""
    at = meta[HEAP_N]
    meta[HEAP_N] += 1
    _note(heap, journal, meta, at)
    heap[at, 0], heap[at, 1], heap[at, 2], heap[at, 3] = matures, key, verdicts, frauds
    while at > 0 and _before(heap, at, (at - 1) // 2):
        _swap(heap, journal, meta, at, (at - 1) // 2)
        at = (at - 1) // 2


@jit
def pop(heap: Ints, journal: Ints, meta: Ints) -> tuple[int, int, int, int]:
    """Take the first entry."""
    matures, key, verdicts, frauds = heap[0, 0], heap[0, 1], heap[0, 2], heap[0, 3]
    meta[HEAP_N] -= 1
    n = meta[HEAP_N]
    _swap(heap, journal, meta, 0, n)
    at = 0
    while 2 * at + 1 < n:
        child = 2 * at + 1
        if child + 1 < n and _before(heap, child + 1, child):
            child += 1
        if not _before(heap, child, at):
            break
        _swap(heap, journal, meta, at, child)
        at = child
    return matures, key, verdicts, frauds


@jit
def undo(heap: Ints, journal: Ints, n: int) -> None:
    """Take back `n` noted writes."""
    for k in range(n - 1, -1, -1):
        heap[journal[k, 0]] = journal[k, 1:5]
