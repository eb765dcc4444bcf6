"""What each threshold would have done: precision and recall, alerts, money, good customers.

Verdicts come for what was flagged, and for what of the approved rows is reviewed whatever the
score: the random sample of `verdict_quality`. So each row with a verdict stands for as many as its
stratum has rows for each with one; the sample has so many rows a day, whatever came in, so each day
of the approved ones is a stratum. Intervals are by the Bayesian bootstrap (Rubin, 1981): the rows
with a verdict get random weights, drawn with a fixed seed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from model.detectors.base import Array

GRID: Array = np.unique(
    np.round(np.concatenate([np.arange(200) / 200, np.arange(991, 1001) / 1000]), 4)
)
"""The thresholds that are looked at: 0 to 1, finer towards 1, where ranks have theirs."""
_DRAWS = 200
_TAILS = (0.025, 0.975)
Flags = NDArray[np.bool_]


class Judged(NamedTuple):
    """Rows with a verdict: scores f8[n], amounts f8[n] in units, whether a fraud, whether it was
    flagged, and whether it is in the random sample of approved ones; of which day i8[n].
    """

    scores: Array
    amounts: Array
    fraud: Flags
    flagged: Flags
    sampled: Flags
    days: NDArray[np.int64]

    def at(self, rows: Flags) -> Judged:
        """Some of the rows."""
        return Judged(
            self.scores[rows],
            self.amounts[rows],
            self.fraud[rows],
            self.flagged[rows],
            self.sampled[rows],
            self.days[rows],
        )


class Strata(NamedTuple):
    """How many rows of the same time were flagged, and how many approved, by day."""

    flagged: int
    approved: Mapping[int, int]


class Estimate(NamedTuple):
    """f8[thresholds] with its 95% interval; NaN where nothing is known."""

    value: Array
    low: Array
    high: Array


class Curves(NamedTuple):
    """By threshold: precision and recall of what scores at least as much, and, of the whole time,
    the amount of the frauds among it and the number of good customers' transactions.

    `sampled`: whether approved rows are represented by the random sample. Without it recall is
    among the frauds that somebody noticed. `unsampled`: days whose approved rows the others' sample
    stands for, as they have none.
    """

    precision: Estimate
    recall: Estimate
    fraud_amount: Array
    legitimate: Array
    sampled: bool
    unsampled: int
    verdicts: int
    frauds: int


def curves(judged: Judged, strata: Strata, seed: int = 0) -> Curves:
    """Of the rows with a verdict."""
    kept = judged.flagged | judged.sampled
    sampled = bool((judged.sampled & ~judged.flagged).any())
    if not sampled:
        kept = np.ones(len(judged.scores), np.bool_)
    rows = judged.at(kept)
    weights = stratum_weights(rows, strata, sampled=sampled)
    above, frauds = _above(rows.scores), rows.fraud
    chance = np.random.default_rng(seed)
    drawn = chance.exponential(size=(_DRAWS, len(weights))) * weights
    reached = _sums_of(above, weights[None]), _sums_of(above, (weights * frauds)[None])
    chances = _sums_of(above, drawn), _sums_of(above, drawn * frauds)
    return Curves(
        _estimate(_precision(*reached)[0], _precision(*chances)),
        _estimate(_recall(*reached)[0], _recall(*chances)),
        _sums(above, weights * frauds * rows.amounts),
        _sums(above, weights * ~frauds),
        sampled,
        len(strata.approved.keys() - set(rows.days[~rows.flagged].tolist())) if sampled else 0,
        len(weights),
        int(frauds.sum()),
    )


def stratum_weights(rows: Judged, strata: Strata, *, sampled: bool) -> Array:
    """How many rows each stands for f8[n]; 1 for approved ones that are no random sample."""
    weights = np.ones(len(rows.scores))
    flagged = int(rows.flagged.sum())
    if flagged:
        weights[rows.flagged] = max(1.0, strata.flagged / flagged)
    if sampled:
        weights[~rows.flagged] = _day_weights(rows.days[~rows.flagged], strata.approved)
    return weights


def _day_weights(days: NDArray[np.int64], approved: Mapping[int, int]) -> Array:
    """For how many approved rows each of the sample stands f8[n]: those of its own day, and its
    part of the days that have none.
    """
    found, places, sizes = np.unique(days, return_inverse=True, return_counts=True)
    of_day = np.array([approved.get(day, 0) for day in found.tolist()], np.float64)
    weights = np.maximum(1.0, of_day / sizes)[places]
    return np.asarray(weights * max(1.0, sum(approved.values()) / weights.sum()))


def at_least(scores: Array, values: Array) -> Array:
    """f8[thresholds]: the sum of `values` f8[n] where the score reaches each of `GRID`."""
    return _sums(_above(scores), values)


def _above(scores: Array) -> NDArray[np.intp]:
    """The number of thresholds that each score reaches. Scores may be rounded to f4."""
    grid = GRID.astype(np.float32)
    return np.searchsorted(grid, scores.astype(np.float32), side="right")


def _sums(above: NDArray[np.intp], values: Array) -> Array:
    """Of values f8[..., n] by threshold f8[..., thresholds]: all rows that reach it."""
    return np.asarray(_sums_of(above, np.asarray(values, np.float64)[None])[0])


def _sums_of(above: NDArray[np.intp], values: Array) -> Array:
    bins = np.zeros((len(values), len(GRID) + 1))
    for row, of_row in enumerate(values):
        bins[row] = np.bincount(above, of_row, len(GRID) + 1)
    return np.cumsum(bins[:, ::-1], axis=1)[:, ::-1][:, 1:]


def _estimate(value: Array, drawn: Array) -> Estimate:
    """A value f8[thresholds] with the interval of those drawn f8[draws, thresholds], which are
    known where it is.
    """
    known = np.isfinite(value)
    low, high = np.full(len(value), np.nan), np.full(len(value), np.nan)
    if known.any():
        low[known], high[known] = np.quantile(drawn[:, known], _TAILS, axis=0)
    return Estimate(value, low, high)


def _precision(rows: Array, frauds: Array) -> Array:
    return np.asarray(np.divide(frauds, rows, out=np.full(rows.shape, np.nan), where=rows > 0))


def _recall(rows: Array, frauds: Array) -> Array:
    every = frauds[:, :1]
    out = np.full(rows.shape, np.nan)
    return np.asarray(
        np.divide(frauds, every, out=out, where=np.broadcast_to(every > 0, out.shape))
    )
