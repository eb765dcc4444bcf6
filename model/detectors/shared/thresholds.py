"""Where values lie among sorted thresholds: the first half of walking trees and of one-hot bins."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from model.detectors.base import Array, Index
from model.jit import jit

BLOCK = 64
"""Rows that are compared at a time; compiled loops over them become vector instructions."""
ZERO, LEFT, RIGHT = 0, 1, 2
"""A missing value counts as 0, as less than all thresholds, or as MISSING."""
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
def ranks(
    x: Array,
    at: int,
    n: int,
    feature: Index,
    missing: Index,
    first: Index,
    threshold: Array,
    codes: NDArray[np.int32],
) -> None:
    """For each column and the rows `at` to `at + n` (n <= BLOCK): how many of its thresholds lie
    below the value.

    Column c is feature `feature[c]` of `x`, its thresholds `first[c]` to `first[c + 1]`; `codes`
    i4[columns, BLOCK].
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
