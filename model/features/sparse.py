"""Rows of mostly zeros for a snapshot: how many words each row has, where they stand, and what they
are.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from model.jit import jit

Ints = NDArray[np.int64]
Places = NDArray[np.uint16]


@jit
def _count(rows: Ints, at: Ints, counts: Places) -> int:
    total = 0
    for i in range(len(at)):
        n = 0
        for k in range(rows.shape[1]):
            n += rows[at[i], k] != 0
        counts[i] = n
        total += n
    return total


@jit
def _fill(rows: Ints, at: Ints, places: Places, words: Ints) -> None:
    n = 0
    for i in range(len(at)):
        for k in range(rows.shape[1]):
            word = rows[at[i], k]
            if word != 0:
                places[n], words[n] = k, word
                n += 1


@jit
def unpack(counts: Places, places: Places, words: Ints, rows: Ints) -> None:
    """Write the words into `rows`, which are zero."""
    at = 0
    for i in range(len(counts)):
        for _ in range(counts[i]):
            rows[i, places[at]] = words[at]
            at += 1


def pack(rows: Ints, at: Ints) -> tuple[Places, Places, Ints]:
    """Of the rows `at` of i8[n, at most 65,535]: counts u2[len(at)], places u2[m], words i8[m]."""
    counts = np.empty(len(at), np.uint16)
    total = _count(rows, at, counts)
    places, words = np.empty(total, np.uint16), np.empty(total, np.int64)
    _fill(rows, at, places, words)
    return counts, places, words
