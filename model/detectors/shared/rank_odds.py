"""The log-odds of a detector without labels: those of a row's rank among the training rows."""

from __future__ import annotations

from typing import NamedTuple, Self

import msgspec
import numpy as np

from model.detectors.base import Array
from model.jit import jit
from tidegate.errors import ConfigError

_KNOTS = 64
_FEWEST = 10.0
"""Rows beyond the outermost knots: single extreme rows must not decide how the scale goes on."""


class RankOddsFile(msgspec.Struct, forbid_unknown_fields=True):
    """`RankOdds` in a bundle."""

    measure: list[float]
    odds: list[float]


@jit
def _interpolate(values: Array, measure: Array, odds: Array, out: Array) -> None:
    for i in range(len(values)):
        k = min(max(np.searchsorted(measure, values[i]) - 1, 0), len(measure) - 2)
        slope = (odds[k + 1] - odds[k]) / (measure[k + 1] - measure[k])
        out[i] = odds[k] + (values[i] - measure[k]) * slope


class RankOdds(NamedTuple):
    """From a measure of how unusual a row is to log-odds: a strictly increasing function.

    A row more unusual than 99% of the training rows gets log(0.99 / 0.01), so that the scores of
    all detectors without labels can be compared and averaged. Between the knots `measure` f8[k] and
    `odds` f8[k], and beyond them, the function is linear.
    """

    measure: Array
    odds: Array

    @classmethod
    def fit(cls, values: Array) -> Self:
        """From the training rows' `values` f8[n]: the higher, the more unusual."""
        edge = np.log(max(len(values) / _FEWEST - 1.0, 2.0))
        odds = np.linspace(-edge, edge, _KNOTS)
        knots = np.quantile(values, 1.0 / (1.0 + np.exp(-odds)))
        measure, first = np.unique(knots, return_index=True)
        last = np.r_[first[1:], _KNOTS] - 1
        odds = (odds[first] + odds[last]) / 2  # equal values share a rank
        if len(measure) == 1:
            return cls(np.array([measure[0], measure[0] + 1.0]), np.zeros(2))
        middle = len(measure) // 2
        return cls(_beyond(measure, middle), _beyond(odds, middle))

    def log_odds(self, values: Array) -> Array:
        """Log-odds f8[n] of `values` f8[n]."""
        out = np.empty(len(values))
        _interpolate(np.ascontiguousarray(values), self.measure, self.odds, out)
        return out

    def file(self) -> RankOddsFile:
        """What `load` reads."""
        return RankOddsFile(self.measure.tolist(), self.odds.tolist())

    @classmethod
    def load(cls, file: RankOddsFile) -> Self:
        """Raises ConfigError when it is no increasing function."""
        measure, odds = np.array(file.measure, np.float64), np.array(file.odds, np.float64)
        if (
            not 2 <= len(measure) == len(odds)
            or np.any(np.diff(measure) <= 0)
            or np.any(np.diff(odds) < 0)
        ):
            raise ConfigError(
                "ranks: expected as many increasing measures as log-odds: fetch the bundle again"
            )
        return cls(measure, odds)


def _beyond(knots: Array, middle: int) -> Array:
    """With one more knot at either end, as far away as the middle one: how the function goes on."""
    extended: Array = np.r_[2 * knots[0] - knots[middle], knots, 2 * knots[-1] - knots[middle]]
    return extended
