# mypy: disable-error-code="no-any-return"
# Elements of arrays are Any to mypy; numba infers every type.
"""How often each of many hashes has come: a table of 12 bytes a slot."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from model.jit import jit

Hashes = NDArray[np.uint64]
Counts = NDArray[np.uint32]

_SLOTS = 1 << 12
_FULL = 0.8


class Occurrences:
    """Counts hashes of 64 bits, by open addressing.

    24 million different ones take 400 MB, and half as much again while the table grows.
    """

    def __init__(self) -> None:
        self._hashes: Hashes = np.zeros(_SLOTS, np.uint64)
        self._counts: Counts = np.zeros(_SLOTS, np.uint32)
        self._used = 0

    def count(self, hashes: Hashes) -> NDArray[np.int64]:
        """Which occurrence each is, from 1 on: i8[n] for u8[n]."""
        while self._used + len(hashes) > _FULL * len(self._hashes):
            self._grow()
        numbers = np.empty(len(hashes), np.int64)
        self._used += _count(hashes, self._hashes, self._counts, numbers)
        return numbers

    def _grow(self) -> None:
        hashes, counts = self._hashes, self._counts
        self._hashes = np.zeros(2 * len(hashes), np.uint64)
        self._counts = np.zeros(2 * len(counts), np.uint32)
        _move(hashes, counts, self._hashes, self._counts)


@jit
def _slot(key: np.uint64, table: Hashes) -> np.int64:
    """Where the key stands, or where it is to stand; 0 marks an empty slot."""
    mask = np.uint64(len(table) - 1)
    slot = key & mask
    while table[slot] != np.uint64(0) and table[slot] != key:
        slot = (slot + np.uint64(1)) & mask
    return np.int64(slot)


@jit
def _count(hashes: Hashes, table: Hashes, counts: Counts, numbers: NDArray[np.int64]) -> int:
    added = 0
    for i in range(len(hashes)):
        key = hashes[i] if hashes[i] != np.uint64(0) else np.uint64(1)
        slot = _slot(key, table)
        if table[slot] == np.uint64(0):
            table[slot] = key
            added += 1
        counts[slot] += np.uint32(1)
        numbers[i] = counts[slot]
    return added


@jit
def _move(hashes: Hashes, counts: Counts, to: Hashes, to_counts: Counts) -> None:
    for i in range(len(hashes)):
        if hashes[i] != np.uint64(0):
            slot = _slot(hashes[i], to)
            to[slot], to_counts[slot] = hashes[i], counts[i]
