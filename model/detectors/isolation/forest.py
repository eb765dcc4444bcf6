r"""Isolation forest (Liu, Ting and Zhou, ICDM 2008), without labels.

An unusual row is alone after few random cuts. A tree is an array of nodes: the left child is the
next node, `right` is the number of the other one in the tree. One grown on four amounts:

          amount <= 59.5          node  column   cut  right  path
            /        \             0       0   59.5      4  2.25
    amount <= 10.4    95           1       0   10.4      3  2.67
       /      \                    2      -1                2     alone at depth 2
      10    12, 14                 3      -1                3     depth 2, and 1 for 2 unsplit rows
                                   4      -1                1     alone at depth 1

An inner node's `path` is the mean over the training rows below it. A row with amount 200 goes from
node 0 to node 4: its path of 1 is the shortest there is, so it is the most unusual.
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
from model.detectors.shared.rank_odds import RankOdds, RankOddsFile
from model.jit import jit
from tidegate.errors import ConfigError

_Count = Annotated[int, msgspec.Meta(ge=0, le=2**31)]


class _File(msgspec.Struct, forbid_unknown_fields=True):
    inputs: ChosenFile
    ranks: RankOddsFile
    sample: _Count
    starts: list[_Count]
    roots: bool = False


@jit
def _below(
    row: Array,
    at: int,
    start: int,
    cut: Array,
    column: NDArray[np.int32],
    right: NDArray[np.int32],
) -> int:
    """The child of the inner node `at` that a row goes to; its tree begins at `start`."""
    return at + 1 if row[column[at]] <= cut[at] else start + int(right[at])


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
                at = _below(x[i], at, starts[t], cut, column, right)
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
    """Adds to `out` f8[n, columns] what each column's cuts changed the expected path length by."""
    for t in range(len(starts) - 1):
        for i in range(len(x)):
            at = starts[t]
            while column[at] >= 0:
                then = _below(x[i], at, starts[t], cut, column, right)
                out[i, column[at]] += path[then] - path[at]
                at = then


class Inputs(NamedTuple):
    """The chosen columns, and whether the trees see square roots of them."""

    chosen: Chosen
    roots: bool

    def take(self, x: Array) -> Array:
        """What the trees see f8[n, chosen] of `x` f8[n, features]."""
        values = self.chosen.take(x)
        return np.sqrt(values - self.chosen.medians) if self.roots else values


class IsolationForest:
    """Log-odds of a row's rank among the training rows, by how short its mean path is.

    Cuts are drawn evenly between a column's extremes. So where only high values count, the trees
    see the square root of their distance to the median: otherwise a few extreme rows would draw
    nearly all cuts to themselves.
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
        rank_odds: RankOdds,
    ) -> None:
        self.features = features
        self._inputs, self._rank_odds = inputs, rank_odds
        self._nodes, self._starts, self._sample = nodes, starts, sample
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
        visible = Inputs(chosen, chosen.one_sided)
        rows, sample = visible.take(inputs), min(int(size["sample"]), len(x))
        nodes, starts = grow(rows, max(int(size["trees"]), 1), sample, seed)
        unranked = RankOdds(np.array([0.0, 1.0]), np.zeros(2))
        lengths = cls(names, visible, nodes, starts, sample, unranked).unusual(rows)
        return cls(names, visible, nodes, starts, sample, RankOdds.fit(lengths))

    def unusual(self, rows: Array) -> Array:
        """Minus the mean path length f8[n] of `rows` as the trees see them.

        The unit is the path length that is expected of any row.
        """
        out = np.zeros(len(rows))
        _depths(rows, self._cut, self._path, self._column, self._right, self._starts, out)
        return -out / self._unit

    def score(self, x: Array) -> Array:
        return self._rank_odds.log_odds(self.unusual(self._inputs.take(x)))

    def contributions(self, x: Array) -> Array:
        """What the path length changes by at each column's cuts (as Saabas), in proportion."""
        rows = self._inputs.take(x)
        changes = np.zeros(rows.shape)
        _paths(rows, self._cut, self._path, self._column, self._right, self._starts, changes)
        root = -self._nodes["path"][self._starts[:-1]].sum() / self._unit
        base = self._rank_odds.log_odds(np.array([root]))[0]
        shares, whole = -changes / self._unit, self.unusual(rows) - root
        gain = np.divide(self.score(x) - base, whole, out=np.zeros(len(x)), where=whole != 0)
        added = self._inputs.chosen.spread(shares * gain[:, None], len(self.features))
        return np.column_stack([np.full(len(x), base), added])

    def save(self) -> Files:
        chosen, roots = self._inputs
        file = _File(
            chosen.file(self.features),
            self._rank_odds.file(),
            self._sample,
            self._starts.tolist(),
            roots,
        )
        text, content = self.files
        return {text: msgspec.json.encode(file), content: self._nodes.tobytes()}

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
        _check(nodes, starts, len(chosen.places))
        return cls(
            tuple(features),
            Inputs(chosen, file.roots),
            nodes,
            starts,
            file.sample,
            RankOdds.load(file.ranks),
        )


def _check(nodes: Nodes, starts: Index, columns: int) -> None:
    """Raises ConfigError unless every path through a tree ends in one of its leaves."""
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
