"""Which values of a column are worth trying when a transaction is to pass."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from model.detectors.base import Array

_ZERO = 2e-35
"""What LightGBM writes for a cut at zero is 1e-35, on either side."""
_LARGEST = 1e15
"""Beyond this a number is not one that a person would name."""
LEVELS = 8
"""Values tried of each column: each costs a score of the flagged row."""


def levels(cuts: Sequence[Array]) -> Array:
    """Values to try f8[columns, LEVELS], ascending, padded with NaN.

    `cuts` are the values of each column at which a score can change. They are rounded to values a
    person would name: whole numbers where a column holds only such, else three significant digits.
    """
    out = np.full((len(cuts), LEVELS), np.nan)
    for k, values in enumerate(cuts):
        column = np.where(np.abs(values) < _ZERO, 0.0, values)[np.abs(values) < _LARGEST]
        whole = bool(np.all(np.abs(2 * column - np.rint(2 * column)) < 1e-6))
        tried = np.unique(
            np.floor(column) if whole else np.array([float(f"{cut:.3g}") for cut in column])
        )
        last, n = max(len(tried) - 1, 0), min(LEVELS, len(tried))
        evenly = np.linspace(0, last, n).round().astype(np.intp)
        out[k, :n] = tried[evenly] + 0.0  # -0.0 becomes 0.0
    return out
