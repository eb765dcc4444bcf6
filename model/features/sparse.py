"""Rows of mostly zeros, packed for a snapshot: the words that are not zero, and their places."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from model.jit import jit

Ints = NDArray[np.int64]
Places = NDArray[np.uint16]


@jit
def _count(rows: Ints, which: Ints, counts: Places) -> int:
    total = 0
    for i in range(len(which)):
        n = 0
        for k in range(rows.shape[1]):
            n += rows[which[i], k] != 0
        counts[i] = n
        total += n
    return total


@jit
def _fill(rows: Ints, which: Ints, places: Places, words: Ints) -> None:
    n = 0
    for i in range(len(which)):
        for k in range(rows.shape[1]):
            word = rows[which[i], k]
            if word != 0:
                places[n], words[n] = k, word
                n += 1


@jit
def unpack(counts: Places, places: Places, words: Ints, rows: Ints) -> None:
    """Write the words into `rows`, which are zero."""
    n = 0
    for i in range(len(counts)):
        for _ in range(counts[i]):
            rows[i, places[n]] = words[n]
            n += 1


def pack(rows: Ints, which: Ints) -> tuple[Places, Places, Ints]:
    """The rows `which` i8[k] of `rows` i8[n, at most 65,535].

    Returns how many words of each are not zero u2[k], and of all these the places u2[m] and the
    words i8[m].
    """
    counts = np.empty(len(which), np.uint16)
    total = _count(rows, which, counts)
    places, words = np.empty(total, np.uint16), np.empty(total, np.int64)
    _fill(rows, which, places, words)
    return counts, places, words
