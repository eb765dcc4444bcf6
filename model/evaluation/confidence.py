"""How sure a measured quality is, by the bootstrap: whether one model ranks better than another, or
than chance.

Whole groups (an account each) are drawn with replacement, since one account's frauds are not
independent: rows drawn one by one would give too narrow an interval. Intervals are Efron's
percentile intervals.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from model.detectors.base import Array
from model.evaluation.metrics import average_precision

LEVEL = 0.95
RESAMPLES = 1000


class Difference(NamedTuple):
    """Average precision of the second scores minus the first ones', and its interval at `LEVEL`."""

    point: float
    low: float
    high: float


class Interval(NamedTuple):
    """Where a figure lies at `LEVEL`."""

    low: float
    high: float


def difference(
    first: Array, second: Array, y: NDArray[np.bool_], groups: NDArray[np.int64], seed: int = 0
) -> Difference:
    """Compare two scores f8[n] of the same rows, whose outcomes y bool[n] hold frauds.

    `groups` i8[n] says whose each row is. Both scores are measured on the same resamples.
    """
    before = _Ranked(first, y)
    after = _Ranked(second, y)
    interval = _interval(
        [
            after.average_precision(weights) - before.average_precision(weights)
            for weights in _resamples(groups, seed)
        ]
    )
    return Difference(average_precision(second, y) - average_precision(first, y), *interval)


def auc_interval(
    scores: Array, y: NDArray[np.bool_], groups: NDArray[np.int64], seed: int = 0
) -> Interval:
    """Where the AUC of scores f8[n] lies; 0.5 is what chance gives, whatever the share of frauds.

    The outcomes y bool[n] hold frauds and legitimate rows, `groups` i8[n] says whose each row is.
    """
    ranked = _Ranked(scores, y)
    return _interval([ranked.auc(weights) for weights in _resamples(groups, seed)])


def intervals(
    scores: Array, y: NDArray[np.bool_], groups: NDArray[np.int64], seed: int = 0
) -> tuple[Interval, Interval]:
    """Where the AUC and the average precision of scores f8[n] lie, by the same resamples; the rest
    is as in `auc_interval`.
    """
    ranked = _Ranked(scores, y)
    pairs = [
        (ranked.auc(weights), ranked.average_precision(weights))
        for weights in _resamples(groups, seed)
    ]
    areas, precisions = zip(*pairs, strict=True)
    return _interval(list(areas)), _interval(list(precisions))


def _resamples(groups: NDArray[np.int64], seed: int) -> Iterator[NDArray[np.int64]]:
    """How often each row i8[n] is drawn, `RESAMPLES` times."""
    members, group = np.unique(groups, return_inverse=True)
    chance = np.random.default_rng(seed)
    for _ in range(RESAMPLES):
        drawn = chance.integers(0, len(members), len(members))
        yield np.bincount(drawn, minlength=len(members))[group]


def _interval(resampled: list[float]) -> Interval:
    """Without the resamples that are NaN: they lack frauds, or legitimate rows."""
    tail = (1 - LEVEL) / 2
    low, high = np.nanquantile(resampled, [tail, 1 - tail])
    return Interval(float(low), float(high))


class _Ranked:
    """Rows by falling score, sorted once for all resamples; equal scores are one step.

    Weights i8[n] say how often each row counts.
    """

    def __init__(self, scores: Array, y: NDArray[np.bool_]) -> None:
        self._order = np.argsort(-scores, kind="stable")
        self._last = np.r_[np.flatnonzero(np.diff(scores[self._order])), len(scores) - 1]
        self._y = y[self._order]

    def average_precision(self, weights: NDArray[np.int64]) -> float:
        """NaN when no fraud counts."""
        rows, hits = self._counts(weights)
        if not hits[-1]:
            return float("nan")
        return float(np.diff(hits, prepend=0) @ (hits / np.maximum(rows, 1)) / hits[-1])

    def auc(self, weights: NDArray[np.int64]) -> float:
        """NaN when no fraud counts, or no legitimate row."""
        rows, hits = self._counts(weights)
        misses = rows - hits
        if not hits[-1] or not misses[-1]:
            return float("nan")
        area = np.trapezoid(np.r_[0, hits], np.r_[0, misses])
        return float(area / (hits[-1] * misses[-1]))

    def _counts(self, weights: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Rows and frauds that score at least each distinct score, from the highest down."""
        drawn = weights[self._order]
        return np.cumsum(drawn)[self._last], np.cumsum(drawn * self._y)[self._last]
