# mypy: disable-error-code="no-any-return"
# Elements of arrays are Any to mypy; numba infers every type.
"""Median and deviation of an entity's last values. Compiled."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from model.jit import jit

Row = NDArray[np.int64]
Floats = NDArray[np.float64]


@jit
def _replace(values: Floats, old: float, new: float) -> None:
    """Put one value into sorted `values` in the place of another."""
    place = 0
    while values[place] < old:
        place += 1
    while place + 1 < len(values) and values[place + 1] < new:
        values[place] = values[place + 1]
        place += 1
    while place > 0 and values[place - 1] > new:
        values[place] = values[place - 1]
        place -= 1
    values[place] = new


@jit
def _median_distance(values: Floats, middle: float) -> float:
    """The median distance of sorted values from their median `middle`, going outwards from it."""
    n = len(values)
    high = n // 2
    low, nearer, distance = high - 1, 0.0, 0.0
    for _ in range(n // 2 + 1):
        nearer = distance
        if high >= n or (low >= 0 and middle - values[low] < values[high] - middle):
            distance = middle - values[low]
            low -= 1
        else:
            distance = values[high] - middle
            high += 1
    return distance if n % 2 else (nearer + distance) / 2


@jit
def level(row: Row, rowf: Floats, base: int, keep: int, value: float, scratch: Floats) -> None:
    """Median and scaled median absolute deviation of the last `keep` values; then note `value`.

    The row keeps how many there were, then the values twice: as a ring, and sorted.
    """
    n = min(row[base], keep)
    newest = base + 1 + row[base] % keep
    ordered = base + 1 + keep
    scratch[0], scratch[1] = np.nan, np.nan
    if n >= 3:
        values = rowf[ordered : ordered + n]
        middle = (values[(n - 1) // 2] + values[n // 2]) / 2
        scratch[0], scratch[1] = middle, 1.4826 * _median_distance(values, middle)
    if not np.isnan(value):
        value += 0.0  # of equal values none may be told from another: -0 becomes 0
        if n < keep:
            rowf[newest], rowf[ordered + n] = np.inf, np.inf
        _replace(rowf[ordered : ordered + min(n + 1, keep)], rowf[newest], value)
        rowf[newest] = value
        row[base] += 1
