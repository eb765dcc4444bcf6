"""What would have let a flagged transaction pass: one column at another value, found by scoring it
again.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from model.bundles.bundle import Bundle, patterns
from model.detectors.base import Array, Index
from model.ensemble.levels import LEVELS
from model.ensemble.thresholds import Amounts


class Passing(NamedTuple):
    """For each row and column tried, f8[n, k]: it would pass with the column at most, or at least,
    at this value.

    Infinite where there is no such value. Every value tried beyond it, on that side, passes too.
    """

    at_most: Array
    at_least: Array


def passing(
    bundle: Bundle, values: Array, amount_minor: Amounts, tried: Index, parts: Array | None = None
) -> Passing:
    """For rows of `values` f8[n, len(profile.values)] with amounts i8[n], columns `tried` i8[n, k]
    of the features.

    `parts` f8[n, m] as `Bundle.score` gave them: a detector that was left out of a row is left out
    of it here too.
    """
    steps = bundle.levels[tried]
    each = tried.shape[1] * LEVELS
    rows = np.repeat(values, each, axis=0)
    columns = np.repeat(bundle.columns[tried].ravel(), LEVELS)
    now = np.take_along_axis(values, bundle.columns[tried], axis=1)[:, :, None]
    rows[np.arange(len(rows)), columns] = steps.ravel()
    final = _final(
        bundle, rows, np.zeros((len(rows), 1)) if parts is None else np.repeat(parts, each, axis=0)
    )
    made = bundle.decide(final, np.repeat(amount_minor, each))
    padded = np.isnan(steps)
    passes = (made == 0).reshape(steps.shape)
    low = np.logical_and.accumulate(passes & ~padded, axis=2) & (steps < now)
    high = np.logical_and.accumulate((passes | padded)[:, :, ::-1], axis=2)[:, :, ::-1] & (
        steps > now
    )
    return Passing(
        np.max(steps, axis=2, where=low, initial=-np.inf),
        np.min(steps, axis=2, where=high, initial=np.inf),
    )


def _final(bundle: Bundle, rows: Array, parts: Array) -> Array:
    """The final scores f8[n], each by the detectors that its row has."""
    out = np.empty(len(rows))
    for at, left_out in patterns(parts):
        out[at] = bundle.score(rows[at], without=[bundle.detectors[k].name for k in left_out]).final
    return out
