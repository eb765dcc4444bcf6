"""Whether one model ranks better than another on the same rows, and how sure that is: a paired
bootstrap.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from model.detectors.base import Array
from model.evaluation.metrics import average_precision

LEVEL = 0.95
RESAMPLES = 1000


class Difference(NamedTuple):
    """Average precision of the second scores minus that of the first, and its interval at
    `LEVEL`.
    """

    point: float
    low: float
    high: float


def difference(
    first: Array, second: Array, y: NDArray[np.bool_], groups: NDArray[np.int64], seed: int = 0
) -> Difference:
    """Compare two scores f8[n] of the same rows, whose outcomes y bool[n] hold frauds.

    Whole groups (`groups` i8[n], an account each) are drawn with replacement (Efron's percentile
    interval), since one account's frauds are not independent: rows drawn one by one would give too
    narrow an interval.
    """
    members, group = np.unique(groups, return_inverse=True)
    ranked = [_Ranked(scores, y) for scores in (first, second)]
    chance = np.random.default_rng(seed)
    found = np.empty(RESAMPLES)
    for k in range(RESAMPLES):
        drawn = np.bincount(chance.integers(0, len(members), len(members)), minlength=len(members))
        champion, challenger = (one.average_precision(drawn[group]) for one in ranked)
        found[k] = challenger - champion
    tail = (1 - LEVEL) / 2
    low, high = np.nanquantile(found, [tail, 1 - tail])  # NaN: a resample without frauds
    return Difference(
        average_precision(second, y) - average_precision(first, y), float(low), float(high)
    )


class _Ranked:
    """Rows by falling score, sorted once for all resamples; equal scores are one step."""

    def __init__(self, scores: Array, y: NDArray[np.bool_]) -> None:
        self._order = np.argsort(-scores, kind="stable")
        self._last = np.r_[np.flatnonzero(np.diff(scores[self._order])), len(scores) - 1]
        self._y = y[self._order]

    def average_precision(self, weights: NDArray[np.int64]) -> float:
        """With each row counted as often as `weights` i8[n] says; NaN when no fraud counts."""
        drawn = weights[self._order]
        rows = np.cumsum(drawn)[self._last]
        hits = np.cumsum(drawn * self._y)[self._last]
        if not hits[-1]:
            return float("nan")
        return float(np.diff(hits, prepend=0) @ (hits / np.maximum(rows, 1)) / hits[-1])
