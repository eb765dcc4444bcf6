"""A small neural network that learns from labels: Keras trains it, LiteRT serves it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Self

import msgspec
import numpy as np
from numpy.typing import NDArray

from model.detectors.base import Array, Files, Settings, ordered, read_json, setting
from model.detectors.neural.graph import Graph
from model.detectors.neural.scaling import Scaling, ScalingFile
from model.detectors.shared.chosen_columns import Chosen, ChosenFile


class _File(msgspec.Struct, forbid_unknown_fields=True):
    inputs: ChosenFile
    scaling: ScalingFile


class Classifier:
    """Two hidden layers over scaled logarithms; log-odds of fraud."""

    name: ClassVar[str] = "keras"
    files: ClassVar[tuple[str, ...]] = ("keras.json", "keras.tflite")
    supervised: ClassVar[bool] = True
    extra: ClassVar[str | None] = "neural"

    def __init__(
        self, features: tuple[str, ...], chosen: Chosen, scaling: Scaling, graph: bytes
    ) -> None:
        self.features = features
        self._chosen, self._scaling, self._content = chosen, scaling, graph
        self._graph = Graph(self.files[1], graph, len(chosen.places), 1)

    @classmethod
    def fit(
        cls,
        x: Array,
        y: NDArray[np.bool_],
        features: Sequence[str],
        settings: Settings,
        seed: int = 0,
    ) -> Self:
        from model.detectors.neural.training import classifier

        size = setting(cls.name, settings, {"hidden": 32, "epochs": 10})
        inputs, names = ordered(x, features)
        chosen = Chosen.fit(cls.name, inputs, names, {})
        rows = chosen.take(inputs)
        scaling = Scaling.fit(rows)
        graph = classifier(
            scaling.apply(rows), y, max(1, int(size["hidden"])), max(1, int(size["epochs"])), seed
        )
        return cls(names, chosen, scaling, graph)

    def _rows(self, x: Array) -> Array:
        return self._scaling.apply(self._chosen.take(x))

    def score(self, x: Array) -> Array:
        return self._graph.run(self._rows(x))[:, 0]

    def contributions(self, x: Array) -> Array:
        """Shapley values from two permutations (Strumbelj and Kononenko 2014).

        Starting from the mean row, the features take the row's values one by one, in one order and
        in its reverse; what each changes is averaged.
        """
        rows = self._rows(x)
        order = range(rows.shape[1])
        forwards, backwards = self._steps(rows, order), self._steps(rows, order[::-1])
        shares = self._chosen.spread((forwards + backwards) / 2, len(self.features))
        return np.column_stack([self._graph.run(np.zeros_like(rows))[:, 0], shares])

    def _steps(self, rows: Array, order: Sequence[int]) -> Array:
        mixed, out = np.zeros_like(rows), np.empty_like(rows)
        before = self._graph.run(mixed)[:, 0]
        for k in order:
            mixed[:, k] = rows[:, k]
            after = self._graph.run(mixed)[:, 0]
            out[:, k], before = after - before, after
        return out

    def save(self) -> Files:
        file = _File(self._chosen.file(self.features), self._scaling.file())
        return dict(zip(self.files, (msgspec.json.encode(file), self._content), strict=True))

    @classmethod
    def load(cls, files: Files, features: Sequence[str]) -> Self:
        text, graph = (files[name] for name in cls.files)
        file = read_json(cls.files[0], text, _File)
        chosen = Chosen.load(file.inputs, features)
        return cls(tuple(features), chosen, Scaling.load(file.scaling, len(chosen.places)), graph)
