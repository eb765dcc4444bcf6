"""Inputs of neural models: logarithms, centred and scaled, missing values at the centre."""

from __future__ import annotations

from typing import NamedTuple, Self

import msgspec
import numpy as np

from model.detectors.base import Array
from tidegate.errors import ConfigError

_LIMIT = 10.0
"""Standard deviations beyond which all values are the same."""


class ScalingFile(msgspec.Struct, forbid_unknown_fields=True):
    """`Scaling` in a bundle."""

    center: list[float]
    scale: list[float]


class Scaling(NamedTuple):
    """Mean and standard deviation of sign(x) log(1 + |x|) in training: amounts and counts have long
    tails.
    """

    center: Array
    scale: Array

    @classmethod
    def fit(cls, x: Array) -> Self:
        """Of the columns of `x` f8[n, c]; a column that never varies keeps its unit."""
        logs = _log(x)
        center, scale = logs.mean(axis=0), logs.std(axis=0)
        return cls(center, np.where(scale > 1e-9, scale, 1.0))

    def apply(self, x: Array) -> Array:
        """f8[n, c], within ten standard deviations."""
        return np.clip((_log(x) - self.center) / self.scale, -_LIMIT, _LIMIT)

    def file(self) -> ScalingFile:
        """What `load` reads."""
        return ScalingFile(self.center.tolist(), self.scale.tolist())

    @classmethod
    def load(cls, file: ScalingFile, columns: int) -> Self:
        """Raises ConfigError when it is not for so many columns."""
        if not len(file.center) == len(file.scale) == columns or min(file.scale) <= 0:
            raise ConfigError(f"scaling: not for {columns} columns: fetch the bundle again")
        return cls(np.array(file.center, np.float64), np.array(file.scale, np.float64))


def _log(x: Array) -> Array:
    return np.sign(x) * np.log1p(np.abs(x))
