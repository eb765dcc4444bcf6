"""Autoencoders: a row that cannot be put together again from a few numbers is unusual. They need no labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Self

import msgspec
import numpy as np
from numpy.typing import NDArray

from model.detectors.anomaly import Ranks, RanksFile
from model.detectors.base import Array, Files, Settings, ordered, read_json, setting
from model.detectors.chosen import Chosen, ChosenFile
from model.detectors.lite import Graph
from model.detectors.scaling import Scaling, ScalingFile

_EXTREME = 0.98
"""Share of the training rows, by distance from the centre, that are learnt from: frauds are among the others."""
_MOST = 100_000
"""Rows that are learnt from."""
_LEAST = 1e-6
"""Squared error that is none: below it the float32 of the graph decides."""
_DEFAULTS = {"hidden": 16, "code": 3, "epochs": 20}


class _File(msgspec.Struct, forbid_unknown_fields=True):
    inputs: ChosenFile
    scaling: ScalingFile
    ranks: RanksFile


class Autoencoder:
    """Log-odds of the rank, among the training rows, of the squared error of reconstruction."""

    name: ClassVar[str] = "autoencoder"
    files: ClassVar[tuple[str, ...]] = ("autoencoder.json", "autoencoder.tflite")
    supervised: ClassVar[bool] = False

    def __init__(self, features: tuple[str, ...], chosen: Chosen, scaling: Scaling, graph: bytes, ranks: Ranks) -> None:
        self.features = features
        self._chosen, self._scaling, self._content, self._ranks = chosen, scaling, graph, ranks
        self._graph = Graph(self.files[1], graph, len(chosen.at), len(chosen.at))

    @classmethod
    def fit(cls, x: Array, y: NDArray[np.bool_], features: Sequence[str], settings: Settings,  # noqa: ARG003 no labels
            seed: int = 0) -> Self:
        size = {key: max(1, int(value)) for key, value in setting(cls.name, settings, _DEFAULTS, ["columns"]).items()}
        inputs, names = ordered(x, features)
        chosen = Chosen.fit(cls.name, inputs, names, settings)
        taken = chosen.take(inputs)
        scaling = Scaling.fit(taken)
        scaled = scaling.apply(taken)
        graph = cls.train(_usual(scaled, seed), size["hidden"], size["code"], size["epochs"], seed)
        bare = cls(names, chosen, scaling, graph, Ranks(np.array([0.0, 1.0]), np.zeros(2)))
        return cls(names, chosen, scaling, graph, Ranks.fit(_measure(bare._errors(inputs))))

    @staticmethod
    def train(rows: Array, hidden: int, code: int, epochs: int, seed: int) -> bytes:
        """The TFLite graph that gives `rows` f8[n, c] back."""
        from model.detectors.neural_training import autoencoder

        return autoencoder(rows, hidden, code, epochs, seed)

    def _errors(self, x: Array) -> Array:
        """Squared errors f8[n, chosen] of `x` f8[n, features]."""
        rows = self._scaling.apply(self._chosen.take(x))
        return (rows - self._graph.run(rows)) ** 2

    def score(self, x: Array) -> Array:
        return self._ranks.log_odds(_measure(self._errors(x)))

    def contributions(self, x: Array) -> Array:
        """The score in proportion to each column's part of the error; the base, that of the median row, is 0."""
        errors = self._errors(x)
        shares = (errors + _LEAST) / (errors + _LEAST).sum(axis=1, keepdims=True)
        odds = self._ranks.log_odds(_measure(errors))
        return np.column_stack([np.zeros(len(x)), self._chosen.spread(shares * odds[:, None], len(self.features))])

    def save(self) -> Files:
        file = _File(self._chosen.file(self.features), self._scaling.file(), self._ranks.file())
        return dict(zip(self.files, (msgspec.json.encode(file), self._content), strict=True))

    @classmethod
    def load(cls, files: Files, features: Sequence[str]) -> Self:
        text, graph = (files[name] for name in cls.files)
        file = read_json(cls.files[0], text, _File)
        chosen = Chosen.load(file.inputs, features)
        return cls(tuple(features), chosen, Scaling.load(file.scaling, len(chosen.at)), graph, Ranks.load(file.ranks))


class VariationalAutoencoder(Autoencoder):
    """The same with a code that was drawn at random while it learnt."""

    name: ClassVar[str] = "vae"
    files: ClassVar[tuple[str, ...]] = ("vae.json", "vae.tflite")
    supervised: ClassVar[bool] = False

    @staticmethod
    def train(rows: Array, hidden: int, code: int, epochs: int, seed: int) -> bytes:
        """The TFLite graph that gives `rows` f8[n, c] back."""
        from model.detectors.neural_training import variational

        return variational(rows, hidden, code, epochs, seed)


def _measure(errors: Array) -> Array:
    """f8[n]: logarithm of the mean of each row; added column by column, so that batches change no bit."""
    total = np.full(len(errors), _LEAST)
    for column in errors.T:
        total += column / errors.shape[1]
    measure: Array = np.log(total)
    return measure


def _usual(rows: Array, seed: int) -> Array:
    distance = (rows ** 2).sum(axis=1)
    usual = rows[distance <= np.quantile(distance, _EXTREME)]
    return np.random.default_rng(seed).permutation(usual)[:_MOST]
