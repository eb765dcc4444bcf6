"""Logistic regression over quantile bins, by stochastic gradient descent in log order.

Each feature is cut twice: at quantiles of the training history, which tell common values apart,
and at quantiles of its frauds, which tell apart the few that matter. A row is one-hot in each cut,
and a missing value has a bin of its own.

The update is that of scikit-learn's SGDClassifier(loss="log_loss", learning_rate="constant",
eta0=rate, alpha=1e-6). A logistic gradient lies in (-1, 1), so one label moves a weight by at most
the setting `rate`. The step is clipped as well: one label moves its own row's log-odds by at most
1, whatever the rate and the number of features.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar, Self

import msgspec
import numpy as np
from numpy.typing import NDArray

from model.detectors.base import Array, Files, Index, Settings, ordered, read_json, setting
from model.detectors.shared.bins import BLOCK, RIGHT, digitize
from model.jit import jit
from tidegate.errors import ConfigError

Slots = NDArray[np.int32]
ALPHA = 1e-6
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
    """The weight that each cut of each row selects.

    A cut with m edges owns m + 2 weights: m + 1 bins between the edges, and the last for NaN.
    """
    codes = np.empty((len(feature), BLOCK), np.int32)
    for at in range(0, x.shape[0], BLOCK):
        n = min(BLOCK, x.shape[0] - at)
        digitize(x, at, n, feature, missing, first, edges, codes)
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
def _step(row: Slots, fraud: bool, params: Array, eta: float, alpha: float, weight: float) -> float:
    total = 0.0
    for k in range(row.shape[0]):
        total += params[row[k]]
    step: float = eta * (
        (1.0 if fraud else 0.0) - 1.0 / (1.0 + math.exp(-(params[0] + params[1] * total)))
    )
    largest = _LARGEST_MOVE / (row.shape[0] + 1)
    step = weight * min(max(step, -largest), largest)
    params[1] *= 1.0 - eta * alpha
    _add(row, step, params)
    if params[1] < 1e-9:
        for k in range(2, params.shape[0]):
            params[k] *= params[1]
        params[1] = 1.0
    return step


@jit
def _learn(slots: Slots, y: NDArray[np.bool_], params: Array, eta: float, alpha: float) -> None:
    for i in range(slots.shape[0]):
        _step(slots[i], y[i], params, eta, alpha, 1.0)


class Online:
    """`params` f8[p]: the intercept, the scale of all weights, then the weights of all bins."""

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
        self._first = np.cumsum([0, *(len(each) for each in edges)]).astype(np.int64)

    @classmethod
    def fit(
        cls,
        x: Array,
        y: NDArray[np.bool_],
        features: Sequence[str],
        settings: Settings,
        seed: int = 0,  # noqa: ARG003 - the port's argument
    ) -> Self:
        rate = setting(cls.name, settings, {"rate": 0.01})["rate"]
        inputs, names = ordered(x, features)
        edges = [cut for column in inputs.T for cut in _edges(column, y)]
        params = np.zeros(2 + sum(len(cut) + 2 for cut in edges))
        params[1] = 1.0
        plain = cls(names, edges, [np.empty(0)] * len(edges), params, rate)
        slots = plain.slots(inputs)
        _learn(slots, y, params, rate, ALPHA)
        shares = np.bincount(slots.ravel(), minlength=len(params)) / max(len(y), 1)
        cuts = np.cumsum([2, *(len(cut) + 2 for cut in edges)])
        return cls(names, edges, np.split(shares, cuts)[1:-1], params, rate)

    def slots(self, x: Array) -> Slots:
        """The places in `params` that each row selects i4[n, 2 * features]: its one-hot bins."""
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
        """Learn rows in order, changing `params` in place: batches change no bit."""
        _learn(self.slots(x), y, params, self.rate, ALPHA)

    def step(self, params: Array, row: Slots, fraud: bool, weight: float = 1.0) -> float:
        """Learn one row, given by its `slots` i4[2 * features], changing `params` in place.

        A `weight` of 0 to 1 is the share of the step that is taken. Returns the step: what each of
        its weights and the intercept gained.
        """
        return float(_step(row, fraud, params, self.rate, ALPHA, weight))

    def take_back(self, params: Array, row: Slots, step: float) -> None:
        """Undo a `step`: take it off the weights of a row and off the intercept."""
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
        means = np.empty(len(self._shares))
        first = 2
        for k, share in enumerate(self._shares):
            means[k] = share @ weights[first : first + len(share)]
            first += len(share)
        out = np.empty((len(x), 1 + len(self.features)))
        out[:, 0] = self.params[0] + means.sum()
        gains = weights[self.slots(x)] - means
        out[:, 1:] = gains.reshape(len(x), -1, _CUTS).sum(axis=2)
        return out

    def save(self) -> Files:
        file = _File(
            [cut.tolist() for cut in self._edges],
            [cut.tolist() for cut in self._shares],
            self.params.tolist(),
            self.rate,
        )
        return {self.files[0]: msgspec.json.encode(file)}

    @classmethod
    def load(cls, files: Files, features: Sequence[str]) -> Self:
        file = read_json(cls.files[0], files[cls.files[0]], _File)
        edges = [np.array(cut, np.float64) for cut in file.edges]
        shares = [np.array(cut, np.float64) for cut in file.shares]
        sizes = [len(cut) + 2 for cut in edges]
        if (
            len(edges) != _CUTS * len(features)
            or [len(cut) for cut in shares] != sizes
            or len(file.params) != 2 + sum(sizes)
            or any(np.any(np.diff(cut) <= 0) for cut in edges)
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
