"""Gradient boosted trees: a package trains them, `model.detectors.trees.forest` serves its text."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from model.detectors.base import Array, Files, Settings, ordered, setting
from model.detectors.trees import forest, imbalance
from model.detectors.trees.text import LEAVES
from tidegate.errors import ConfigError

USUAL = {"trees": 100, "leaves": 31, "rate": 0.05, "columns": 1.0}
"""What a model takes where the profile says nothing; `tidegate train --tune` tries others."""


class Boosted(ABC):
    """Trees of up to 32 leaves.

    All rows weigh the same: on the card simulator and on the handbook's data, weighting frauds by
    the imbalance, or by its root, costs 0.02 to 0.05 of average precision, and the stack calibrates
    anyway. It may learn from samples instead (`imbalance`). With several `bags`, each bag has trees
    of its own, and the score is the mean of theirs (balanced bagging).
    """

    name: ClassVar[str]
    files: ClassVar[tuple[str, ...]]
    supervised: ClassVar[bool] = True
    extra: ClassVar[str | None] = None

    def __init__(self, text: str, features: tuple[str, ...]) -> None:
        self.features = features
        self._text = text
        self._forest = forest.parse(text, len(features))

    @classmethod
    def fit(
        cls,
        x: Array,
        y: NDArray[np.bool_],
        features: Sequence[str],
        settings: Settings,
        seed: int = 0,
    ) -> Self:
        chosen = setting(cls.name, settings, {**USUAL, **imbalance.DEFAULTS})
        if chosen["leaves"] > LEAVES:
            raise ConfigError(
                f"models.{cls.name}.leaves: at most {LEAVES}, got {chosen['leaves']:g}"
            )
        if chosen["columns"] > 1:
            raise ConfigError(
                f"models.{cls.name}.columns: a share of at most 1, got {chosen['columns']:g}"
            )
        inputs, names = ordered(x, features)
        bags = imbalance.samples(cls.name, inputs, y, chosen, seed)
        return cls(cls._trained(bags, chosen, seed), names)

    @staticmethod
    @abstractmethod
    def _trained(bags: Iterable[imbalance.Sample], chosen: Mapping[str, float], seed: int) -> str:
        """The trees of all bags as `forest.parse` reads them.

        A row's leaves add up to the mean of the bags' scores.
        """

    @property
    def cuts(self) -> list[Array]:
        """For each feature, the values between which its score can change."""
        return forest.cuts(self._forest, len(self.features))

    def score(self, x: Array) -> Array:
        return forest.margins(self._forest, x)

    def contributions(self, x: Array) -> Array:
        return forest.contributions(self._forest, x, len(self.features))

    def save(self) -> Files:
        return {self.files[0]: self._text.encode()}

    @classmethod
    def load(cls, files: Files, features: Sequence[str]) -> Self:
        try:
            return cls(files[cls.files[0]].decode("ascii"), tuple(features))
        except UnicodeDecodeError as error:
            raise ConfigError(
                f"{cls.files[0]} is not a text of trees ({error}): fetch the bundle again"
            ) from error
