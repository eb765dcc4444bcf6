"""A detector that needs no verdicts, as small as one can be: how far a row lies from the middle of
the history.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Self

import msgspec
import numpy as np
from numpy.typing import NDArray

from model.detectors.base import Array, Files, Settings, ordered


class Distance:
    """Log-odds grow with the mean absolute z-score of the columns."""

    name: ClassVar[str] = "distance"
    files: ClassVar[tuple[str, ...]] = ("distance.json",)
    supervised: ClassVar[bool] = False

    def __init__(self, features: tuple[str, ...], middle: Array, spread: Array) -> None:
        self.features, self.middle, self.spread = features, middle, spread

    @classmethod
    def fit(
        cls,
        x: Array,
        y: NDArray[np.bool_],  # noqa: ARG003 - the port's argument
        features: Sequence[str],
        settings: Settings,
        seed: int = 0,  # noqa: ARG003 - the port's argument
    ) -> Self:
        assert "weight" not in settings
        inputs, names = ordered(x, features)
        return cls(names, inputs.mean(axis=0), inputs.std(axis=0) + 1e-9)

    def contributions(self, x: Array) -> Array:
        far = np.abs(np.nan_to_num(x, nan=0.0) - self.middle) / self.spread / len(self.features)
        return np.column_stack([np.full(len(x), -3.0), far])

    def score(self, x: Array) -> Array:
        out = np.zeros(len(x))
        for column in self.contributions(
            x
        ).T:  # the same order of additions for one row and for many
            out += column
        return out

    def save(self) -> Files:
        return {self.files[0]: msgspec.json.encode([self.middle.tolist(), self.spread.tolist()])}

    @classmethod
    def load(cls, files: Files, features: Sequence[str]) -> Self:
        parts = msgspec.json.decode(files[cls.files[0]], type=list[list[float]])
        return cls(tuple(features), *map(np.array, parts))


class Largest(Distance):
    """Log-odds grow with the one most unusual column."""

    name: ClassVar[str] = "largest"
    files: ClassVar[tuple[str, ...]] = ("largest.json",)

    def contributions(self, x: Array) -> Array:
        far = super().contributions(x)
        far[:, 1:] *= (far[:, 1:] == far[:, 1:].max(axis=1, keepdims=True)) * len(self.features)
        return far


def kinds() -> dict[str, Any]:
    """What `model.detectors.catalog.known` would give if these were shipped."""
    return {kind.name: kind for kind in (Distance, Largest)}
