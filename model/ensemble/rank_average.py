"""The combiner of a history without verdicts: a weighted average of the detectors' ranks.

Rank is meant as in rank statistics: the share of a reference sample that scores lower. The
detectors' own scale, log-odds of a rank in training, is in `model.detectors.shared.rank_odds`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

import msgspec
import numpy as np

from model.detectors.base import Array
from model.jit import jit
from tidegate.errors import ConfigError

_LEVELS = 1.0 / (1.0 + np.exp(-np.linspace(-9.0, 9.0, 181)))
"""Shares of the reference whose scores are kept: close together where decisions are made, in the
tails.
"""
_FLAT = 1e-12


class _File(msgspec.Struct, forbid_unknown_fields=True):
    weights: list[float]
    reference: list[list[float]]


@jit
def _rank(value: float, knots: Array, levels: Array) -> float:
    """The share of the reference below `value`; equal scores share the middle of their ranks."""
    first = end = 0
    for knot in knots:
        first += 1 if knot < value else 0
        end += 1 if knot <= value else 0
    if first < end:
        return float((levels[first] + levels[end - 1]) / 2)
    if first in (0, len(knots)):
        return float(levels[min(first, len(knots) - 1)])
    share = (value - knots[first - 1]) / (knots[first] - knots[first - 1])
    return float(levels[first - 1] + share * (levels[first] - levels[first - 1]))


@jit
def _ranks(log_odds: Array, reference: Array, levels: Array, out: Array) -> None:
    for i in range(log_odds.shape[0]):
        for k in range(log_odds.shape[1]):
            out[i, k] = _rank(log_odds[i, k], reference[k], levels)


@jit
def _average(ranks: Array, weights: Array, out: Array) -> None:
    for i in range(ranks.shape[0]):
        total = used = 0.0
        for k in range(ranks.shape[1]):
            total += weights[k] * ranks[i, k]
            used += weights[k]
        out[i] = total / used


@dataclass(frozen=True, slots=True)
class RankAverage:
    """The weighted mean of a row's ranks, one for each of m detectors.

    A rank is the share of held-out rows, which no detector was trained on, that the detector scores
    lower. So the mean is no probability: 0.99 says that a row is more unusual than about 99% of
    those. `weights` f8[m]; `reference` f8[m, knots], quantiles of each detector's held-out scores.
    """

    weights: Array
    reference: Array
    file: ClassVar[str] = "ranks.json"
    calibrated: ClassVar[bool] = False

    @classmethod
    def fit(cls, log_odds: Array, weights: Sequence[float]) -> Self:
        """From the log-odds f8[n, m] of held-out rows, and how much each detector counts."""
        return cls(
            np.array(weights, np.float64),
            np.ascontiguousarray(np.quantile(log_odds, _LEVELS, axis=0).T),
        )

    def ranks(self, log_odds: Array) -> Array:
        """Ranks f8[n, m] in (0, 1) of log-odds f8[n, m]."""
        out = np.empty(log_odds.shape)
        _ranks(np.ascontiguousarray(log_odds), self.reference, _LEVELS, out)
        return out

    def combine(self, log_odds: Array) -> Array:
        """Mean ranks f8[n] of log-odds f8[n, m]."""
        out = np.empty(len(log_odds))
        _average(self.ranks(log_odds), self.weights, out)
        return out

    def shares(self, contributions: Sequence[Array]) -> Array:
        """f8[n, 1 + features] from each detector's contributions: a row's sum is the log-odds of
        `combine`.

        A detector's rank differs from the rank of its base. That difference is divided among the
        features in proportion to what each contributed.
        """
        bases = np.column_stack([each[:, 0] for each in contributions])
        scores = np.column_stack([each.sum(axis=1) for each in contributions])
        start, end = self.ranks(bases), self.ranks(scores)
        gain = _ratio(end - start, scores - bases) * self.weights / self.weights.sum()
        scaled = [each * gain[:, k, None] for k, each in enumerate(contributions)]
        out: Array = np.sum(scaled, axis=0)
        first, last = self.combine(bases), self.combine(scores)
        out *= _ratio(_log_odds(last) - _log_odds(first), last - first)[:, None]
        out[:, 0] = _log_odds(last) - out[:, 1:].sum(axis=1)
        return out

    def without(self, left_out: tuple[int, ...]) -> RankAverage:
        return RankAverage(
            np.delete(self.weights, left_out), np.delete(self.reference, left_out, axis=0)
        )

    def save(self) -> bytes:
        return msgspec.json.encode(_File(self.weights.tolist(), self.reference.tolist()))

    @classmethod
    def load(cls, content: bytes, detectors: int) -> Self:
        """What `save` wrote. Raises ConfigError."""
        try:
            file = msgspec.json.decode(content, type=_File)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise ConfigError(f"{cls.file} is damaged ({error}): fetch the bundle again") from error
        if any(len(knots) != len(_LEVELS) for knots in file.reference) or not (
            len(file.reference) == len(file.weights) == detectors
        ):
            raise ConfigError(
                f"{cls.file}: not {detectors} detectors with {len(_LEVELS)} scores each: "
                "fetch the bundle again"
            )
        weights = np.array(file.weights)
        reference = np.array(file.reference).reshape(detectors, len(_LEVELS))
        if np.any(weights <= 0) or np.any(np.diff(reference) < 0):
            raise ConfigError(
                f"{cls.file}: weights must be positive and scores in order: fetch the bundle again"
            )
        return cls(weights, reference)


def _ratio(change: Array, by: Array) -> Array:
    """`change / by`, and 0 where `by` is next to nothing."""
    ratio: Array = np.divide(change, by, out=np.zeros(change.shape), where=np.abs(by) > _FLAT)
    return ratio


def _log_odds(p: Array) -> Array:
    odds: Array = np.log(p) - np.log1p(-p)
    return odds
