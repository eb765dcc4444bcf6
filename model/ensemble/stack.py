"""The combiner of a history with verdicts: a logistic regression on the detectors' log-odds.

It is fitted on a slice of the history that no detector was trained on, so its scores are calibrated
probabilities.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import ClassVar, Self

import msgspec
import numpy as np
from numpy.typing import NDArray

from model.detectors.base import Array, read_json
from model.jit import jit
from tidegate.errors import ConfigError

_RIDGE = 1.0
_LIMIT = 30.0
"""Log-odds beyond this say no more."""


@jit
def _combine(log_odds: Array, intercept: float, weights: Array, limit: float, out: Array) -> None:
    for i in range(log_odds.shape[0]):
        z = intercept
        for k in range(log_odds.shape[1]):
            z += weights[k] * min(max(log_odds[i, k], -limit), limit)
        out[i] = 1.0 / (1.0 + np.exp(-z))


@dataclass(frozen=True, slots=True)
class Ensemble:
    """P(fraud) = sigmoid(intercept + weights . log-odds), with a weight for each detector.

    No weight is negative: a detector's suspicion never lowers the probability.
    """

    intercept: float
    weights: Array
    fallbacks: Mapping[tuple[int, ...], Ensemble] = field(default_factory=dict)
    """Stacks calibrated on the same rows without some detectors, by the places of these."""
    file: ClassVar[str] = "ensemble.json"
    calibrated: ClassVar[bool] = True

    @classmethod
    def fit(cls, log_odds: Array, y: NDArray[np.bool_]) -> Self:
        """Calibrate on held-out log-odds f8[n, m] and outcomes bool[n].

        The fallbacks cover every choice of detectors to leave out. A detector whose log-odds never
        vary gets weight 0.
        """
        m = log_odds.shape[1]
        fallbacks = {
            left_out: cls._fit(np.delete(log_odds, left_out, axis=1), y)
            for size in range(1, m)
            for left_out in combinations(range(m), size)
        }
        whole = cls._fit(log_odds, y)
        return cls(whole.intercept, whole.weights, fallbacks)

    @classmethod
    def _fit(cls, log_odds: Array, y: NDArray[np.bool_]) -> Self:
        clipped = np.clip(log_odds, -_LIMIT, _LIMIT)
        used = [k for k in range(log_odds.shape[1]) if np.ptp(clipped[:, k]) > 1e-9]
        while True:
            solution = _newton(clipped[:, used], y)
            worst = min(range(len(used)), key=lambda k: solution[1 + k], default=None)
            if worst is None or solution[1 + worst] >= 0:
                break
            del used[worst]
        weights = np.zeros(log_odds.shape[1])
        weights[used] = solution[1:]
        return cls(float(solution[0]), weights)

    def combine(self, log_odds: Array) -> Array:
        """Probabilities f8[n] of log-odds f8[n, m]."""
        out = np.empty(len(log_odds))
        _combine(np.ascontiguousarray(log_odds), self.intercept, self.weights, _LIMIT, out)
        return out

    def shares(self, contributions: Sequence[Array]) -> Array:
        """f8[n, 1 + features] from each detector's contributions: a row's sum is the log-odds of
        `combine`.
        """
        out = np.zeros(contributions[0].shape)
        for weight, each in zip(self.weights, contributions, strict=True):
            log_odds = each.sum(axis=1)
            within = np.minimum(1.0, _LIMIT / np.maximum(np.abs(log_odds), 1.0))
            out += each * (weight * within)[:, None]
        out[:, 0] += self.intercept
        return out

    def without(self, left_out: tuple[int, ...]) -> Ensemble:
        if left_out not in self.fallbacks:
            raise ConfigError(
                f"ensemble.json has no stack without the detectors {left_out}: train a new bundle"
            )
        return self.fallbacks[left_out]

    def save(self) -> bytes:
        fallbacks = [
            _Fallback(list(left_out), stack.intercept, stack.weights.tolist())
            for left_out, stack in self.fallbacks.items()
        ]
        return msgspec.json.encode(_File(self.intercept, self.weights.tolist(), fallbacks))

    @classmethod
    def load(cls, content: bytes, detectors: int) -> Self:
        """What `save` wrote. Raises ConfigError."""
        document = read_json("ensemble.json", content, _File)
        if len(document.weights) != detectors:
            raise ConfigError(
                f"ensemble.json weighs {len(document.weights)} detectors, "
                f"the bundle has {detectors}"
            )
        fallbacks = {
            tuple(stack.without): cls(stack.intercept, np.array(stack.weights, np.float64))
            for stack in document.fallbacks
        }
        if any(
            len(set(left_out)) + len(stack.weights) != detectors
            for left_out, stack in fallbacks.items()
        ):
            raise ConfigError(
                "ensemble.json: a fallback weighs another number of detectors: "
                "fetch the bundle again"
            )
        return cls(document.intercept, np.array(document.weights, np.float64), fallbacks)


class _Fallback(msgspec.Struct, forbid_unknown_fields=True):
    without: list[int]
    intercept: float
    weights: list[float]


class _File(msgspec.Struct, forbid_unknown_fields=True):
    intercept: float
    weights: list[float]
    fallbacks: list[_Fallback] = []


def _newton(x: Array, y: NDArray[np.bool_]) -> Array:
    """Ridge logistic regression by Newton's method: intercept, then a coefficient for each column
    of `x`.
    """
    center, scale = x.mean(axis=0), x.std(axis=0)
    inputs = np.column_stack([np.ones(len(x)), (x - center) / scale])
    beta = np.zeros(inputs.shape[1])
    penalty = np.full(len(beta), _RIDGE)
    penalty[0] = 1e-6
    for _ in range(50):
        p = 1.0 / (1.0 + np.exp(-np.clip(inputs @ beta, -_LIMIT, _LIMIT)))
        gradient = inputs.T @ (y - p) - penalty * beta
        step = np.linalg.solve(
            (inputs * (p * (1 - p))[:, None]).T @ inputs + np.diag(penalty), gradient
        )
        beta += np.clip(step, -5.0, 5.0)
        if np.abs(step).max() < 1e-10:
            break
    beta[1:] /= scale
    beta[0] -= beta[1:] @ center
    return beta
