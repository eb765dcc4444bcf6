"""Which bin a value falls into, between sorted thresholds.

Both boosted trees and the online model's one-hot encoding begin with that.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from model.detectors.base import Array, Index
from model.jit import jit

BLOCK = 64
"""Rows that are compared at a time: loops of a fixed length become vector instructions."""
ZERO, LEFT, RIGHT = 0, 1, 2
"""How a column takes a missing value: as 0, below all thresholds, or as the bin MISSING."""
MISSING = np.int32(2**31 - 1)


@jit
def _column(x: Array, at: int, n: int, feature: int, value: Array) -> None:
    for i in range(n):
        value[i] = x[at + i, feature]


@jit
def _count(value: Array, threshold: Array, first: int, end: int, count: Index) -> None:
    for i in range(BLOCK):
        count[i] = 0
    for k in range(first, end):
        for i in range(BLOCK):
            count[i] += 1 if value[i] > threshold[k] else 0


@jit
def digitize(
    x: Array,
    at: int,
    n: int,
    feature: Index,
    missing: Index,
    first: Index,
    threshold: Array,
    codes: NDArray[np.int32],
) -> None:
    """Write the bins of rows `at` to `at + n` (n <= BLOCK) into `codes` i4[columns, BLOCK].

    A value's bin is the number of thresholds below it. Column c is feature `feature[c]` of `x`, and
    its thresholds are `first[c]` to `first[c + 1]`; `missing[c]` is ZERO, LEFT or RIGHT.
    """
    value = np.zeros(BLOCK, np.float64)
    count = np.empty(BLOCK, np.int64)
    for c in range(len(feature)):
        _column(x, at, n, feature[c], value)
        if missing[c] == ZERO:
            for i in range(BLOCK):
                value[i] = 0.0 if np.isnan(value[i]) else value[i]
        _count(value, threshold, first[c], first[c + 1], count)
        for i in range(BLOCK):
            codes[c, i] = MISSING if missing[c] == RIGHT and np.isnan(value[i]) else count[i]
