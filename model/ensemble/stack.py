"""Several detectors' log-odds become one probability: a logistic regression on a slice no detector
was trained on.
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
def _combine(parts: Array, intercept: float, weights: Array, limit: float, out: Array) -> None:
    for i in range(parts.shape[0]):
        z = intercept
        for k in range(parts.shape[1]):
            z += weights[k] * min(max(parts[i, k], -limit), limit)
        out[i] = 1.0 / (1.0 + np.exp(-z))


@dataclass(frozen=True, slots=True)
class Ensemble:
    """P(fraud) = sigmoid(intercept + weights . log-odds); no weight is negative, so suspicion never
    lowers it.
    """

    intercept: float
    weights: Array
    fallbacks: Mapping[tuple[int, ...], Ensemble] = field(default_factory=dict)
    """By the places of the detectors left out: a stack of the others, calibrated on the same
    rows.
    """
    file: ClassVar[str] = "ensemble.json"
    calibrated: ClassVar[bool] = True

    @classmethod
    def fit(cls, parts: Array, y: NDArray[np.bool_]) -> Self:
        """Calibrate on held-out log-odds f8[n, m] and outcomes bool[n], with all detectors and with
        any of them.

        A part that never varies gets weight 0.
        """
        m = parts.shape[1]
        fallbacks = {
            left_out: cls._fit(np.delete(parts, left_out, axis=1), y)
            for size in range(1, m)
            for left_out in combinations(range(m), size)
        }
        whole = cls._fit(parts, y)
        return cls(whole.intercept, whole.weights, fallbacks)

    @classmethod
    def _fit(cls, parts: Array, y: NDArray[np.bool_]) -> Self:
        clipped = np.clip(parts, -_LIMIT, _LIMIT)
        used = [k for k in range(parts.shape[1]) if np.ptp(clipped[:, k]) > 1e-9]
        while True:
            solution = _newton(clipped[:, used], y)
            worst = min(range(len(used)), key=lambda k: solution[1 + k], default=None)
            if worst is None or solution[1 + worst] >= 0:
                break
            del used[worst]
        weights = np.zeros(parts.shape[1])
        weights[used] = solution[1:]
        return cls(float(solution[0]), weights)

    def combine(self, parts: Array) -> Array:
        """Probabilities f8[n] of log-odds f8[n, m]."""
        out = np.empty(len(parts))
        _combine(np.ascontiguousarray(parts), self.intercept, self.weights, _LIMIT, out)
        return out

    def shares(self, parts: Sequence[Array]) -> Array:
        """f8[n, 1 + features] from each detector's contributions: a row's sum is the log-odds of
        `combine`.
        """
        out = np.zeros(parts[0].shape)
        for weight, part in zip(self.weights, parts, strict=True):
            odds = part.sum(axis=1)
            out += (
                part * (weight * np.minimum(1.0, _LIMIT / np.maximum(np.abs(odds), 1.0)))[:, None]
            )
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
            _Fallback(list(left_out), part.intercept, part.weights.tolist())
            for left_out, part in self.fallbacks.items()
        ]
        return msgspec.json.encode(_File(self.intercept, self.weights.tolist(), fallbacks))

    @classmethod
    def load(cls, content: bytes, parts: int) -> Self:
        """What `save` wrote. Raises ConfigError."""
        document = read_json("ensemble.json", content, _File)
        if len(document.weights) != parts:
            raise ConfigError(
                f"ensemble.json weighs {len(document.weights)} detectors, the bundle has {parts}"
            )
        fallbacks = {
            tuple(part.without): cls(part.intercept, np.array(part.weights, np.float64))
            for part in document.fallbacks
        }
        if any(
            len(set(left_out)) + len(part.weights) != parts for left_out, part in fallbacks.items()
        ):
            raise ConfigError(
                "ensemble.json: a fallback weighs another number of detectors: fetch the bundle "
                "again"
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
