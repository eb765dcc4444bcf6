"""Autoencoders, without labels: a row that a few numbers cannot reconstruct is unusual."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, NamedTuple, Self

import msgspec
import numpy as np
from numpy.typing import NDArray

from model.detectors.base import Array, Files, Settings, ordered, read_json, setting
from model.detectors.neural.graph import Graph
from model.detectors.neural.scaling import Scaling, ScalingFile
from model.detectors.neural.size import Size
from model.detectors.shared.chosen_columns import Chosen, ChosenFile
from model.detectors.shared.rank_odds import RankOdds, RankOddsFile
from tidegate.errors import ConfigError

_EXTREME = 0.98
"""Share of the training rows that are learnt from, nearest to the centre first: the frauds are
among the others.
"""
_LEAST = 1e-6
"""A squared error this small is none: it is the rounding of the graph's float32."""
_DEFAULTS = {"hidden": 16, "code": 3, "epochs": 20}


class Inputs(NamedTuple):
    """The columns that go into the graph, their scaling, and how many the graph reconstructs.

    Those are the last `written` of them.
    """

    chosen: Chosen
    scaling: Scaling
    written: int

    def of(self, x: Array) -> Array:
        """f8[n, chosen] of `x` f8[n, features]."""
        return self.scaling.apply(self.chosen.take(x))


class _File(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    inputs: ChosenFile
    scaling: ScalingFile
    ranks: RankOddsFile
    written: int = 0
    """How many of the inputs, the last ones, the graph reconstructs; 0: all."""


class Autoencoder:
    """Log-odds of the rank, among the training rows, of the squared error of reconstruction."""

    name: ClassVar[str] = "autoencoder"
    files: ClassVar[tuple[str, ...]] = ("autoencoder.json", "autoencoder.tflite")
    supervised: ClassVar[bool] = False
    extra: ClassVar[str | None] = "neural"
    choice: ClassVar[str] = "columns"
    """The setting that names what it looks at."""
    most: ClassVar[int] = 100_000
    """Rows that it learns from at most."""

    def __init__(
        self, features: tuple[str, ...], inputs: Inputs, graph: bytes, rank_odds: RankOdds
    ) -> None:
        self.features = features
        self._inputs, self._content, self._rank_odds = inputs, graph, rank_odds
        self._graph = Graph(self.files[1], graph, len(inputs.chosen.places), inputs.written)

    @classmethod
    def fit(
        cls,
        x: Array,
        y: NDArray[np.bool_],  # noqa: ARG003 - the port's argument
        features: Sequence[str],
        settings: Settings,
        seed: int = 0,
    ) -> Self:
        size = {
            key: max(1, int(value))
            for key, value in setting(cls.name, settings, _DEFAULTS, [cls.choice]).items()
        }
        rows, names = ordered(x, features)
        chosen, written = cls.choose(rows, names, settings)
        inputs = Inputs(chosen, Scaling.fit(chosen.take(rows)), written)
        usual = _usual(inputs.of(rows), seed)[: cls.most]
        graph = cls.train(usual, Size(written, size["hidden"], size["code"], size["epochs"]), seed)
        unranked = RankOdds(np.array([0.0, 1.0]), np.zeros(2))
        errors = cls(names, inputs, graph, unranked)._errors(rows)
        return cls(names, inputs, graph, RankOdds.fit(_measure(errors)))

    @classmethod
    def choose(cls, x: Array, features: Sequence[str], settings: Settings) -> tuple[Chosen, int]:
        """The columns of `x` that it looks at; how many of them, the last ones, it reconstructs.

        Raises ConfigError for a column that is not there.
        """
        chosen = Chosen.fit(cls.name, x, features, settings)
        return chosen, len(chosen.places)

    @staticmethod
    def train(rows: Array, size: Size, seed: int) -> bytes:
        """The TFLite graph that reconstructs the last `size.width` columns of `rows` f8[n, c]."""
        from model.detectors.neural.training import autoencoder

        return autoencoder(rows, size, seed)

    def _errors(self, x: Array) -> Array:
        """Squared errors f8[n, written] of `x` f8[n, features]."""
        rows = self._inputs.of(x)
        return (rows[:, -self._inputs.written :] - self._graph.run(rows)) ** 2

    def score(self, x: Array) -> Array:
        return self._rank_odds.log_odds(_measure(self._errors(x)))

    def contributions(self, x: Array) -> Array:
        """The score, divided in proportion to each column's error; the median row's score is 0."""
        errors = self._errors(x)
        shares = (errors + _LEAST) / (errors + _LEAST).sum(axis=1, keepdims=True)
        odds = self._rank_odds.log_odds(_measure(errors))
        added = self._inputs.chosen.spread(shares * odds[:, None], len(self.features))
        return np.column_stack([np.zeros(len(x)), added])

    def save(self) -> Files:
        chosen, scaling, written = self._inputs
        file = _File(
            chosen.file(self.features),
            scaling.file(),
            self._rank_odds.file(),
            written if written < len(chosen.places) else 0,
        )
        return dict(zip(self.files, (msgspec.json.encode(file), self._content), strict=True))

    @classmethod
    def load(cls, files: Files, features: Sequence[str]) -> Self:
        text, graph = (files[name] for name in cls.files)
        file = read_json(cls.files[0], text, _File)
        chosen = Chosen.load(file.inputs, features)
        width = len(chosen.places)
        if not 0 <= file.written <= width:
            raise ConfigError(
                f"{cls.files[0]} writes {file.written} of {width} columns: fetch the bundle again"
            )
        inputs = Inputs(chosen, Scaling.load(file.scaling, width), file.written or width)
        return cls(tuple(features), inputs, graph, RankOdds.load(file.ranks))


class VariationalAutoencoder(Autoencoder):
    """An autoencoder whose code was drawn at random in training."""

    name: ClassVar[str] = "vae"
    files: ClassVar[tuple[str, ...]] = ("vae.json", "vae.tflite")

    @staticmethod
    def train(rows: Array, size: Size, seed: int) -> bytes:
        """The TFLite graph that reconstructs `rows` f8[n, size.width]."""
        from model.detectors.neural.training import variational

        return variational(rows, size, seed)


def _measure(errors: Array) -> Array:
    """The logarithm of each row's mean f8[n], summed by columns so that batches change no bit."""
    total = np.full(len(errors), _LEAST)
    for column in errors.T:
        total += column / errors.shape[1]
    measure: Array = np.log(total)
    return measure


def _usual(rows: Array, seed: int) -> Array:
    distance = (rows**2).sum(axis=1)
    usual = rows[distance <= np.quantile(distance, _EXTREME)]
    return np.random.default_rng(seed).permutation(usual)
