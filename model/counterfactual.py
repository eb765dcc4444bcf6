"""What would have let a flagged transaction pass: one column at another value, found by scoring it again."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from model.bundle import Bundle
from model.decision import Amounts
from model.detectors.base import Array, Index
from model.levels import LEVELS


class Passing(NamedTuple):
    """For each row and column tried, f8[n, k]: it would pass with the column at most, or at least, at this value.

    Infinite where there is no such value. Every value tried beyond it, on that side, passes too.
    """

    at_most: Array
    at_least: Array


def passing(bundle: Bundle, values: Array, amount_minor: Amounts, tried: Index) -> Passing:
    """For rows of `values` f8[n, len(profile.values)] with amounts i8[n], columns `tried` i8[n, k] of the features."""
    steps = bundle.levels[tried]
    rows = np.repeat(values, tried.shape[1] * LEVELS, axis=0)
    columns = np.repeat(bundle.columns[tried].ravel(), LEVELS)
    now = np.take_along_axis(values, bundle.columns[tried], axis=1)[:, :, None]
    rows[np.arange(len(rows)), columns] = steps.ravel()
    made = bundle.decide(bundle.score(rows).final, np.repeat(amount_minor, tried.shape[1] * LEVELS))
    padded = np.isnan(steps)
    passes = (made == 0).reshape(steps.shape)
    low = np.logical_and.accumulate(passes & ~padded, axis=2) & (steps < now)
    high = np.logical_and.accumulate((passes | padded)[:, :, ::-1], axis=2)[:, :, ::-1] & (steps > now)
    return Passing(np.max(steps, axis=2, where=low, initial=-np.inf), np.min(steps, axis=2, where=high, initial=np.inf))
