"""Logistic regression by stochastic gradient descent over quantile bins, one record at a time in
log order.

Each feature is cut twice, at quantiles of the training history and at quantiles of its frauds, and
a row is one-hot in each: the first tells common values apart, the second the few that matter. A
missing value has a bin of its own in both. The update is scikit-learn's
SGDClassifier(loss="log_loss", learning_rate="constant", eta0=rate, alpha=1e-6): a logistic gradient
lies in (-1, 1), so no single label moves a weight by more than the rate (the setting `rate`). It is
clipped, so that no single label moves its own row's log-odds by more than 1, whatever rate and
number of features.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar, Self

import msgspec
import numpy as np
from numpy.typing import NDArray

from model.detectors.base import Array, Files, Index, Settings, ordered, read_json, setting
from model.detectors.shared.thresholds import BLOCK, RIGHT, ranks
from model.jit import jit
from tidegate.errors import ConfigError

Slots = NDArray[np.int32]
ALPHA = 1e-6
HOURLY = 20_000
"""Labels of one source that are learnt in an hour, unless the profile's setting `hourly` says
another number.
"""
_LARGEST_MOVE = 1.0
"""Log-odds by which one label may move its own row."""
_QUANTILES = np.unique(np.r_[np.arange(1, 32) / 32, 0.001, 0.005, 0.01, 0.99, 0.995, 0.999])
_OF_FRAUDS = np.arange(1, 32) / 32
_CUTS = 2
"""How often each feature is cut; cut `c` is one of feature `c // _CUTS`."""


class _File(msgspec.Struct, forbid_unknown_fields=True):
    edges: list[list[float]]
    shares: list[list[float]]
    params: list[float]
    rate: float


@jit
def _slots(
    x: Array, feature: Index, missing: Index, first: Index, edges: Array, out: Slots
) -> None:
    """The weight that each cut of each row selects: cut k owns `edges of k` + 2 weights, the last
    for NaN.
    """
    codes = np.empty((len(feature), BLOCK), np.int32)
    for at in range(0, x.shape[0], BLOCK):
        n = min(BLOCK, x.shape[0] - at)
        ranks(x, at, n, feature, missing, first, edges, codes)
        for k in range(len(feature)):
            last = first[k + 1] - first[k] + 1
            for i in range(n):
                out[at + i, k] = 2 + first[k] + 2 * k + min(codes[k, i], last)


@jit
def _margins(slots: Slots, params: Array, out: Array) -> None:
    for i in range(slots.shape[0]):
        total = 0.0
        for k in range(slots.shape[1]):
            total += params[slots[i, k]]
        out[i] = params[0] + params[1] * total


@jit
def _add(row: Slots, step: float, params: Array) -> None:
    for k in range(row.shape[0]):
        params[row[k]] += step / params[1]
    params[0] += step


@jit
def _step(row: Slots, fraud: bool, params: Array, eta: float, alpha: float) -> float:
    total = 0.0
    for k in range(row.shape[0]):
        total += params[row[k]]
    step: float = eta * (
        (1.0 if fraud else 0.0) - 1.0 / (1.0 + math.exp(-(params[0] + params[1] * total)))
    )
    largest = _LARGEST_MOVE / (row.shape[0] + 1)
    step = min(max(step, -largest), largest)
    params[1] *= 1.0 - eta * alpha
    _add(row, step, params)
    if params[1] < 1e-9:
        params[2:] *= params[1]
        params[1] = 1.0
    return step


@jit
def _learn(slots: Slots, y: NDArray[np.bool_], params: Array, eta: float, alpha: float) -> None:
    for i in range(slots.shape[0]):
        _step(slots[i], y[i], params, eta, alpha)


class Online:
    """Params f8[p]: intercept, scale of all weights, then the weights of each cut's bins (missing
    last).
    """

    name: ClassVar[str] = "online"
    files: ClassVar[tuple[str, ...]] = ("online.json",)
    supervised: ClassVar[bool] = True
    extra: ClassVar[str | None] = None

    def __init__(
        self,
        features: tuple[str, ...],
        edges: Sequence[Array],
        shares: Sequence[Array],
        params: Array,
        rate: float,
    ) -> None:
        self.features = features
        self.rate = rate
        self.params = params.copy()
        self.params.flags.writeable = False
        self._edges, self._shares = edges, shares
        self._flat = np.concatenate([*edges, np.empty(0)])
        self._first = np.cumsum([0, *(len(part) for part in edges)]).astype(np.int64)

    @classmethod
    def fit(
        cls,
        x: Array,
        y: NDArray[np.bool_],
        features: Sequence[str],
        settings: Settings,
        seed: int = 0,  # noqa: ARG003 - the port's argument
    ) -> Self:
        rate = setting(cls.name, settings, {"rate": 0.01, "hourly": HOURLY})["rate"]
        inputs, names = ordered(x, features)
        edges = [part for column in inputs.T for part in _edges(column, y)]
        params = np.zeros(2 + sum(len(part) + 2 for part in edges))
        params[1] = 1.0
        plain = cls(names, edges, [np.empty(0)] * len(edges), params, rate)
        slots = plain.slots(inputs)
        _learn(slots, y, params, rate, ALPHA)
        shares = np.bincount(slots.ravel(), minlength=len(params)) / max(len(y), 1)
        cuts = np.cumsum([2, *(len(part) + 2 for part in edges)])
        return cls(names, edges, np.split(shares, cuts)[1:-1], params, rate)

    def slots(self, x: Array) -> Slots:
        """i4[n, 2 * features]: the places in `params` that each value of `x` selects: its one-hot
        encodings.
        """
        cuts = np.arange(_CUTS * len(self.features))
        out = np.empty((len(x), len(cuts)), np.int32)
        _slots(
            np.ascontiguousarray(x),
            cuts // _CUTS,
            np.full(len(cuts), RIGHT),
            self._first,
            self._flat,
            out,
        )
        return out

    @property
    def cuts(self) -> list[Array]:
        """For each feature, the values between which its score can change."""
        return list(self._edges)

    def score(self, x: Array) -> Array:
        return self.margins(self.params, self.slots(x))

    def learn(self, params: Array, x: Array, y: NDArray[np.bool_]) -> None:
        """Fold rows into `params` in place, one after the other: any split into batches gives the
        same bits.
        """
        _learn(self.slots(x), y, params, self.rate, ALPHA)

    def step(self, params: Array, row: Slots, fraud: bool) -> float:
        """Fold one row, given by its `slots` i4[2 * features]; what each of its weights, and the
        intercept, gained.
        """
        return float(_step(row, fraud, params, self.rate, ALPHA))

    def take_back(self, params: Array, row: Slots, step: float) -> None:
        """Take a gain off the weights of a row and off the intercept."""
        _add(row, -step, params)

    def margins(self, params: Array, slots: Slots) -> Array:
        """Log-odds f8[n] of rows given by their `slots` i4[n, 2 * features]."""
        out = np.empty(len(slots))
        _margins(slots, params, out)
        return out

    def with_params(self, params: Array) -> Online:
        """The same bins with other weights. Raises ConfigError when their number differs."""
        if params.shape != self.params.shape:
            raise ConfigError(
                f"online weights: {params.size} numbers, this bundle has {self.params.size}: "
                "they belong to another bundle"
            )
        return Online(self.features, self._edges, self._shares, params, self.rate)

    def contributions(self, x: Array) -> Array:
        weights = self.params * self.params[1]
        at, means = 2, np.empty(len(self._shares))
        for k, share in enumerate(self._shares):
            means[k] = share @ weights[at : at + len(share)]
            at += len(share)
        out = np.empty((len(x), 1 + len(self.features)))
        out[:, 0] = self.params[0] + means.sum()
        gains = weights[self.slots(x)] - means
        out[:, 1:] = gains.reshape(len(x), -1, _CUTS).sum(axis=2)
        return out

    def save(self) -> Files:
        file = _File(
            [part.tolist() for part in self._edges],
            [part.tolist() for part in self._shares],
            self.params.tolist(),
            self.rate,
        )
        return {self.files[0]: msgspec.json.encode(file)}

    @classmethod
    def load(cls, files: Files, features: Sequence[str]) -> Self:
        file = read_json(cls.files[0], files[cls.files[0]], _File)
        edges, shares = (
            [np.array(part, np.float64) for part in side] for side in (file.edges, file.shares)
        )
        sizes = [len(part) + 2 for part in edges]
        if (
            len(edges) != _CUTS * len(features)
            or [len(part) for part in shares] != sizes
            or len(file.params) != 2 + sum(sizes)
            or any(np.any(np.diff(part) <= 0) for part in edges)
        ):
            raise ConfigError(
                f"{cls.files[0]} does not fit the bundle's {len(features)} features: "
                "fetch the bundle again"
            )
        return cls(tuple(features), edges, shares, np.array(file.params, np.float64), file.rate)


def _edges(column: Array, y: NDArray[np.bool_]) -> tuple[Array, Array]:
    present = np.isfinite(column)
    return (
        _quantiles(column[present], column[present], _QUANTILES),
        _quantiles(column[present & y], column[present], _OF_FRAUDS),
    )


def _quantiles(values: Array, present: Array, levels: Array) -> Array:
    if not len(values):
        return np.empty(0)
    edges = np.unique(np.quantile(values, levels, method="lower"))
    return np.ascontiguousarray(edges[edges < present.max()])
