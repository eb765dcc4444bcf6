"""Several detectors' scores become one where nobody has said what was fraud: a weighted average of
their ranks.
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
def _ranks(parts: Array, reference: Array, levels: Array, out: Array) -> None:
    for i in range(parts.shape[0]):
        for k in range(parts.shape[1]):
            out[i, k] = _rank(parts[i, k], reference[k], levels)


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
    """The weighted mean of each score's rank among the scores of rows that no detector has seen.

    Not a probability: 0.99 says that a row is more unusual than about 99% of those. `weights`
    f8[m], `reference` f8[m, knots].
    """

    weights: Array
    reference: Array
    file: ClassVar[str] = "ranks.json"
    calibrated: ClassVar[bool] = False

    @classmethod
    def fit(cls, parts: Array, weights: Sequence[float]) -> Self:
        """From scores f8[n, m] of held-out rows, and how much each detector counts."""
        return cls(
            np.array(weights, np.float64),
            np.ascontiguousarray(np.quantile(parts, _LEVELS, axis=0).T),
        )

    def ranks(self, parts: Array) -> Array:
        """f8[n, m] in (0, 1) of scores f8[n, m]."""
        out = np.empty(parts.shape)
        _ranks(np.ascontiguousarray(parts), self.reference, _LEVELS, out)
        return out

    def combine(self, parts: Array) -> Array:
        """Mean ranks f8[n] of scores f8[n, m]."""
        out = np.empty(len(parts))
        _average(self.ranks(parts), self.weights, out)
        return out

    def shares(self, parts: Sequence[Array]) -> Array:
        """f8[n, 1 + features] from each detector's contributions: a row's sum is the log-odds of
        `combine`.

        What a detector's rank differs by from that of its base is divided among the features in
        proportion.
        """
        bases, scores = (np.column_stack([side(part) for part in parts]) for side in (_base, _sum))
        start, end = self.ranks(bases), self.ranks(scores)
        gain = _ratio(end - start, scores - bases) * self.weights / self.weights.sum()
        out: Array = np.sum([part * gain[:, k, None] for k, part in enumerate(parts)], axis=0)
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
    def load(cls, content: bytes, parts: int) -> Self:
        """What `save` wrote. Raises ConfigError."""
        try:
            file = msgspec.json.decode(content, type=_File)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise ConfigError(f"{cls.file} is damaged ({error}): fetch the bundle again") from error
        if any(len(knots) != len(_LEVELS) for knots in file.reference) or not (
            len(file.reference) == len(file.weights) == parts
        ):
            raise ConfigError(
                f"{cls.file}: not {parts} detectors with {len(_LEVELS)} scores each: fetch the "
                "bundle "
                "again"
            )
        weights, reference = (
            np.array(file.weights),
            np.array(file.reference).reshape(parts, len(_LEVELS)),
        )
        if np.any(weights <= 0) or np.any(np.diff(reference) < 0):
            raise ConfigError(
                f"{cls.file}: weights must be positive and scores in order: fetch the bundle again"
            )
        return cls(weights, reference)


def _base(part: Array) -> Array:
    return part[:, 0]


def _sum(part: Array) -> Array:
    total: Array = part.sum(axis=1)
    return total


def _ratio(change: Array, by: Array) -> Array:
    """`change / by`, and nothing where there is nothing to divide by."""
    ratio: Array = np.divide(change, by, out=np.zeros(change.shape), where=np.abs(by) > _FLAT)
    return ratio


def _log_odds(p: Array) -> Array:
    odds: Array = np.log(p) - np.log1p(-p)
    return odds
