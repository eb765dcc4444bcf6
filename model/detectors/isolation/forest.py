"""Isolation forest (Liu, Ting and Zhou, ICDM 2008): unusual rows are alone after few random cuts.
Needs no labels.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar, NamedTuple, Self

import msgspec
import numpy as np
from numpy.typing import NDArray

from model.detectors.base import Array, Files, Index, Settings, ordered, read_json, setting
from model.detectors.isolation.growing import NODE, Nodes, expected, grow
from model.detectors.shared.chosen_columns import Chosen, ChosenFile
from model.detectors.shared.rank_odds import Ranks, RanksFile
from model.jit import jit
from tidegate.errors import ConfigError

_Count = Annotated[int, msgspec.Meta(ge=0, le=2**31)]


class _File(msgspec.Struct, forbid_unknown_fields=True):
    inputs: ChosenFile
    ranks: RanksFile
    sample: _Count
    starts: list[_Count]
    roots: bool = False


@jit
def _depths(
    x: Array,
    cut: Array,
    path: Array,
    column: NDArray[np.int32],
    right: NDArray[np.int32],
    starts: Index,
    out: Array,
) -> None:
    """Adds each row's path length in all trees to `out` f8[n]."""
    for t in range(len(starts) - 1):
        for i in range(len(x)):
            at = starts[t]
            while column[at] >= 0:
                at = at + 1 if x[i, column[at]] <= cut[at] else starts[t] + right[at]
            out[i] += path[at]


@jit
def _paths(
    x: Array,
    cut: Array,
    path: Array,
    column: NDArray[np.int32],
    right: NDArray[np.int32],
    starts: Index,
    out: Array,
) -> None:
    """Adds to `out` f8[n, columns] by how much each column's cuts changed the expected path length
    on the way.
    """
    for t in range(len(starts) - 1):
        for i in range(len(x)):
            at = starts[t]
            while column[at] >= 0:
                then = at + 1 if x[i, column[at]] <= cut[at] else starts[t] + right[at]
                out[i, column[at]] += path[then] - path[at]
                at = then


class Inputs(NamedTuple):
    """The chosen columns, and whether the trees see roots of them."""

    chosen: Chosen
    roots: bool

    def take(self, x: Array) -> Array:
        """What the trees see f8[n, chosen] of `x` f8[n, features]."""
        values = self.chosen.take(x)
        return np.sqrt(values - self.chosen.medians) if self.roots else values


class IsolationForest:
    """Log-odds of the rank, among the training rows, of how short a row's mean path through the
    trees is.

    Cuts are drawn evenly between a column's extremes. So where only high values count, the trees
    see the root of their distance to the median: else a few extreme rows would draw nearly all cuts
    to themselves.
    """

    name: ClassVar[str] = "isolation_forest"
    files: ClassVar[tuple[str, ...]] = ("isolation_forest.json", "isolation_forest.nodes")
    supervised: ClassVar[bool] = False
    extra: ClassVar[str | None] = None

    def __init__(
        self,
        features: tuple[str, ...],
        inputs: Inputs,
        nodes: Nodes,
        starts: Index,
        sample: int,
        ranks: Ranks,
    ) -> None:
        self.features = features
        self._inputs, self._nodes, self._starts, self._sample, self._ranks = (
            inputs,
            nodes,
            starts,
            sample,
            ranks,
        )
        self._unit = (len(starts) - 1) * expected(sample)
        self._cut, self._path, self._column, self._right = (
            np.ascontiguousarray(nodes[name]) for name in ("cut", "path", "column", "right")
        )

    @classmethod
    def fit(
        cls,
        x: Array,
        y: NDArray[np.bool_],  # noqa: ARG003 - the port's argument
        features: Sequence[str],
        settings: Settings,
        seed: int = 0,
    ) -> Self:
        size = setting(cls.name, settings, {"trees": 100, "sample": 4096}, ["columns"])
        inputs, names = ordered(x, features)
        chosen = Chosen.fit(cls.name, inputs, names, settings)
        seen = Inputs(chosen, chosen.one_sided)
        rows, sample = seen.take(inputs), min(int(size["sample"]), len(x))
        nodes, starts = grow(rows, max(int(size["trees"]), 1), sample, seed)
        bare = cls(names, seen, nodes, starts, sample, Ranks(np.array([0.0, 1.0]), np.zeros(2)))
        return cls(names, seen, nodes, starts, sample, Ranks.fit(bare.unusual(rows)))

    def unusual(self, rows: Array) -> Array:
        """Minus the mean path length f8[n] of `rows` as the trees see them, in units of what is
        expected of any row.
        """
        out = np.zeros(len(rows))
        _depths(rows, self._cut, self._path, self._column, self._right, self._starts, out)
        return -out / self._unit

    def score(self, x: Array) -> Array:
        return self._ranks.log_odds(self.unusual(self._inputs.take(x)))

    def contributions(self, x: Array) -> Array:
        """What the path length changes by at each column's cuts (as Saabas), in proportion."""
        rows = self._inputs.take(x)
        changes = np.zeros(rows.shape)
        _paths(rows, self._cut, self._path, self._column, self._right, self._starts, changes)
        root = -self._nodes["path"][self._starts[:-1]].sum() / self._unit
        base = self._ranks.log_odds(np.array([root]))[0]
        shares, whole = -changes / self._unit, self.unusual(rows) - root
        gain = np.divide(self.score(x) - base, whole, out=np.zeros(len(x)), where=whole != 0)
        parts = self._inputs.chosen.spread(shares * gain[:, None], len(self.features))
        return np.column_stack([np.full(len(x), base), parts])

    def save(self) -> Files:
        chosen, roots = self._inputs
        file = _File(
            chosen.file(self.features),
            self._ranks.file(),
            self._sample,
            self._starts.tolist(),
            roots,
        )
        return dict(
            zip(self.files, (msgspec.json.encode(file), self._nodes.tobytes()), strict=True)
        )

    @classmethod
    def load(cls, files: Files, features: Sequence[str]) -> Self:
        text, content = (files[name] for name in cls.files)
        file = read_json(cls.files[0], text, _File)
        chosen = Chosen.load(file.inputs, features)
        if file.roots and not chosen.one_sided:
            raise ConfigError(
                f"{cls.files[0]}: roots of columns that are not one-sided: fetch the bundle again"
            )
        if len(content) % NODE.itemsize or file.sample < 2:
            raise ConfigError(
                f"{cls.files[1]} holds no whole nodes, or of too few rows: fetch the bundle again"
            )
        nodes, starts = np.frombuffer(content, NODE), np.array(file.starts, np.int64)
        _check(nodes, starts, len(chosen.at))
        return cls(
            tuple(features),
            Inputs(chosen, file.roots),
            nodes,
            starts,
            file.sample,
            Ranks.load(file.ranks),
        )


def _check(nodes: Nodes, starts: Index, columns: int) -> None:
    """Raises ConfigError unless every way through the trees ends in a leaf of its tree."""
    if len(starts) < 2 or starts[0] != 0 or starts[-1] != len(nodes) or np.any(np.diff(starts) < 1):
        raise ConfigError(
            "isolation_forest.json: the trees are not the nodes: fetch the bundle again"
        )
    tree = np.repeat(np.arange(len(starts) - 1), np.diff(starts))
    place = np.arange(len(nodes)) - starts[tree]
    inner = nodes["column"] >= 0
    last = np.diff(starts)[tree] - 1
    strays = inner & ((nodes["right"] <= place) | (nodes["right"] > last) | (place == last))
    finite = np.isfinite(nodes["cut"]) & np.isfinite(nodes["path"])
    if strays.any() or not finite.all() or np.any(nodes["column"] >= columns):
        raise ConfigError(
            "isolation_forest.nodes: a way that leads nowhere: fetch the bundle again"
        )
