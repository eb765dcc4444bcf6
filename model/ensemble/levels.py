"""Which values of a column are worth trying when a transaction is to pass."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from model.detectors.base import Array

_LARGEST = 1e15
"""Beyond this a number is not one that a person would name."""
LEVELS = 8
"""Values tried of each column: each costs a score of the flagged row."""


def levels(cuts: Sequence[Array]) -> Array:
    """Values to try f8[columns, LEVELS], ascending, padded with NaN, from where a column's score
    can change.

    Whole numbers where a column has only such, else three significant digits: values a person would
    name.
    """
    out = np.full((len(cuts), LEVELS), np.nan)
    for k, every in enumerate(cuts):
        column = every[np.abs(every) < _LARGEST]
        whole = bool(np.all(np.abs(2 * column - np.rint(2 * column)) < 1e-6))
        tried = np.unique(
            np.floor(column) if whole else np.array([float(f"{cut:.3g}") for cut in column])
        )
        places = (
            np.linspace(0, max(len(tried) - 1, 0), min(LEVELS, len(tried))).round().astype(np.intp)
        )
        out[k, : len(places)] = tried[places] + 0.0  # -0.0 becomes 0.0
    return out
