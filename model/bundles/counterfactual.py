"""What would have let a flagged transaction pass: another value of one column.

It is found by scoring the transaction again with each value that is worth trying.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from model.bundles.bundle import Bundle, patterns
from model.detectors.base import Array, Index
from model.ensemble.levels import LEVELS
from model.ensemble.thresholds import Amounts


class Passing(NamedTuple):
    """For each row and column tried, f8[n, k]: the row would pass with the column at most, or at
    least, at this value.

    Infinite where there is no such value. Every value tried beyond it, on that side, passes too.
    """

    at_most: Array
    at_least: Array


def passing(
    bundle: Bundle, values: Array, amount_minor: Amounts, tried: Index, scores: Array | None = None
) -> Passing:
    """For rows of `values` f8[n, len(profile.values)] with amounts i8[n], columns `tried` i8[n, k]
    of the features.

    `scores` f8[n, m] of the detectors as `Bundle.score` gave them: a detector that was left out of
    a row is left out of it here too.
    """
    levels = bundle.levels[tried]
    each = tried.shape[1] * LEVELS
    rows = np.repeat(values, each, axis=0)
    columns = np.repeat(bundle.columns[tried].ravel(), LEVELS)
    now = np.take_along_axis(values, bundle.columns[tried], axis=1)[:, :, None]
    rows[np.arange(len(rows)), columns] = levels.ravel()
    known = np.zeros((len(rows), 1)) if scores is None else np.repeat(scores, each, axis=0)
    decisions = bundle.decide(_final(bundle, rows, known), np.repeat(amount_minor, each))
    passes = (decisions == 0).reshape(levels.shape)
    padded = np.isnan(levels)
    from_below = np.logical_and.accumulate(passes & ~padded, axis=2)
    from_above = np.logical_and.accumulate((passes | padded)[:, :, ::-1], axis=2)[:, :, ::-1]
    return Passing(
        np.max(levels, axis=2, where=from_below & (levels < now), initial=-np.inf),
        np.min(levels, axis=2, where=from_above & (levels > now), initial=np.inf),
    )


def _final(bundle: Bundle, values: Array, scores: Array) -> Array:
    """The final scores f8[n], each by the detectors that its row has in `scores`."""
    out = np.empty(len(values))
    for rows, left_out in patterns(scores):
        names = [bundle.detectors[column].name for column in left_out]
        out[rows] = bundle.score(values[rows], without=names).final
    return out
