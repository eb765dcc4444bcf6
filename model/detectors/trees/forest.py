"""Boosted trees as plain arrays, scored by compiled loops: no lightgbm, no scikit-learn, no pandas
while serving.

Scores are bit-equal to `lightgbm.Booster.predict(raw_score=True)`. The method is QuickScorer
(Lucchese et al., SIGIR 2015) over blocks of rows: each leaf is a bit, each failed test `value <=
threshold` clears the bits of its left subtree, and the lowest bit left is the leaf. All rows of a
block are tested against a node in one vector instruction.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from model.detectors.base import Array, Index
from model.detectors.shared.thresholds import BLOCK, LEFT, RIGHT, ZERO, ranks
from model.jit import jit
from tidegate.errors import ConfigError

LEAVES = 32
"""Most leaves of a tree: one bit each in a 32-bit mask."""


class Forest(NamedTuple):
    """Trees compiled for scoring, and their nodes for explaining.

    A column is a pair (feature, where a missing value goes), with its sorted distinct thresholds.
    """

    feature: Index  # of each column
    missing: Index  # of each column: ZERO, LEFT or RIGHT
    first: Index  # of each column, and one more: its first threshold
    threshold: Array
    column: Index  # of each node
    rank: NDArray[np.int32]  # of each node: its threshold's rank in the column
    mask: NDArray[np.int32]  # of each node: all leaves but those of the left subtree
    start: Index  # of each tree, and one more: its first node
    leaf: Array  # LEAVES of each tree, left to right
    left: Index  # of each node: child node, or ~(index in leaf)
    right: NDArray[np.int64]
    mean: Array  # of each node: mean of its leaves, weighted by training rows
    cut: Array  # of each node: its threshold


@dataclass(slots=True)
class _Tree:
    feature: NDArray[np.int64]
    threshold: Array
    missing: NDArray[np.int64]
    left: NDArray[np.int64]
    right: NDArray[np.int64]
    value: Array
    count: Array


def parse(text: str, features: int) -> Forest:
    """The forest in LightGBM's text format (v4, binary objective). Raises ConfigError when it
    cannot be served.
    """
    try:
        trees = [
            _tree(dict(line.split("=", 1) for line in block.strip().splitlines()), features)
            for block in text.split("\n\n")
            if block.lstrip().startswith("Tree=")
        ]
    except (KeyError, ValueError, IndexError, RecursionError) as error:
        raise ConfigError(
            f"the text of trees is damaged ({error}): train again, or fetch the bundle again"
        ) from error
    if not trees:
        raise ConfigError("the text of trees holds no tree: train again, or fetch the bundle again")
    return _compile(trees)


def _tree(fields: dict[str, str], features: int) -> _Tree:
    leaves = int(fields["num_leaves"])
    if int(fields["num_cat"]) or not 1 <= leaves <= LEAVES:
        raise ValueError(f"only numeric trees of up to {LEAVES} leaves are served")
    kind = _numbers(fields, "decision_type", leaves - 1).astype(np.int64)
    if np.any((kind & 1) | ((kind >> 2 & 3) == 1)):
        raise ValueError("categorical splits and zero_as_missing are not served")
    tree = _Tree(
        _numbers(fields, "split_feature", leaves - 1).astype(np.int64),
        _numbers(fields, "threshold", leaves - 1),
        np.where(kind >> 2 & 3 == 0, ZERO, np.where(kind & 2, LEFT, RIGHT)),
        _numbers(fields, "left_child", leaves - 1).astype(np.int64),
        _numbers(fields, "right_child", leaves - 1).astype(np.int64),
        _numbers(fields, "leaf_value", leaves),
        _numbers(fields, "leaf_count", leaves) if leaves > 1 else np.ones(1),
    )
    if (
        np.any(tree.feature < 0)
        or np.any(tree.feature >= features)
        or not np.all(np.isfinite(tree.value))
    ):
        raise ValueError(
            "a tree names a feature that the bundle lacks, or a value that is no number"
        )
    seen = sorted([*tree.left.tolist(), *tree.right.tolist()])
    nodes = np.arange(leaves - 1)
    if np.any((tree.left >= 0) & (tree.left <= nodes)) or np.any(
        (tree.right >= 0) & (tree.right <= nodes)
    ):
        raise ValueError("a tree's node lies above its parent")
    if leaves > 1 and seen != [*range(-leaves, 0), *range(1, leaves - 1)]:
        raise ValueError("a tree's nodes do not form a tree")
    return tree


def _numbers(fields: dict[str, str], name: str, n: int) -> Array:
    if n == 0:
        return np.empty(0)
    values = np.array(fields[name].split(), dtype=np.float64)
    if len(values) != n:
        raise ValueError(f"{name} has {len(values)} entries instead of {n}")
    return values


def _compile(trees: list[_Tree]) -> Forest:
    feature, missing, cut = (
        np.concatenate([getattr(tree, name) for tree in trees])
        for name in ("feature", "missing", "threshold")
    )
    columns, column = np.unique(feature * 3 + missing, return_inverse=True)
    thresholds = [np.unique(cut[column == c]) for c in range(len(columns))]
    rank = np.empty(len(cut), np.int32)
    for c, values in enumerate(thresholds):
        rank[column == c] = np.searchsorted(values, cut[column == c])
    start = np.cumsum([0, *(len(tree.feature) for tree in trees)])
    parts = [_layout(tree, t, int(start[t])) for t, tree in enumerate(trees)]
    mask, leaf, left, right, mean = (np.concatenate(part) for part in zip(*parts, strict=True))
    return Forest(
        (columns // 3).astype(np.int64),
        (columns % 3).astype(np.int64),
        np.cumsum([0, *(len(values) for values in thresholds)]).astype(np.int64),
        np.concatenate([*thresholds, np.empty(0)]),
        column.astype(np.int64),
        rank,
        mask,
        start.astype(np.int64),
        leaf,
        left,
        right,
        mean,
        cut,
    )


def _layout(tree: _Tree, t: int, base: int) -> tuple[NDArray[Any], ...]:
    """Masks, padded leaves, children and means of one tree; its leaves are numbered from left to
    right.
    """
    nodes = len(tree.feature)
    below: list[list[int]] = [[] for _ in range(nodes)]

    def leaves(child: int) -> list[int]:
        if child < 0:
            return [~child]
        below[child] = left = leaves(int(tree.left[child]))
        return left + leaves(int(tree.right[child]))

    order = leaves(0) if nodes else [0]
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    mask = np.array(
        [~sum(1 << int(place[leaf]) for leaf in part) & 0xFFFFFFFF for part in below], np.uint32
    )
    padded = np.zeros(LEAVES)
    padded[: len(order)] = tree.value[order]
    children = [
        np.where(side >= 0, base + side, ~(t * LEAVES + place[np.where(side < 0, ~side, 0)]))
        for side in (tree.left, tree.right)
    ]
    return mask.view(np.int32), padded, *children, _means(tree)


def _means(tree: _Tree) -> Array:
    mean = np.empty(len(tree.feature))

    def visit(child: int) -> tuple[float, float]:
        if child < 0:
            return float(tree.value[~child]), float(tree.count[~child])
        (a, n), (b, m) = visit(int(tree.left[child])), visit(int(tree.right[child]))
        mean[child] = (a * n + b * m) / (n + m)
        return float(mean[child]), n + m

    if len(mean):
        visit(0)
    return mean


_DE_BRUIJN = 0x077CB531
_PLACE = np.zeros(LEAVES, np.int64)
_PLACE[[(_DE_BRUIJN << bit & 0xFFFFFFFF) >> 27 for bit in range(LEAVES)]] = np.arange(LEAVES)


@jit
def _lowest_bit(mask: np.int32) -> int:
    """The place of the lowest bit set (never called with 0)."""
    low = np.uint64(np.uint32(mask))
    low &= ~low + np.uint64(1)
    return int(_PLACE[(low * np.uint64(_DE_BRUIJN) & np.uint64(0xFFFFFFFF)) >> np.uint64(27)])


@jit
def _margins(
    x: Array,
    feature: Index,
    missing: Index,
    first: Index,
    threshold: Array,
    column: Index,
    rank: NDArray[np.int32],
    mask: NDArray[np.int32],
    start: Index,
    leaf: Array,
    out: Array,
) -> None:
    codes = np.zeros((len(feature), BLOCK), np.int32)
    alive = np.empty(BLOCK, np.int32)
    for at in range(0, x.shape[0], BLOCK):
        n = min(BLOCK, x.shape[0] - at)
        ranks(x, at, n, feature, missing, first, threshold, codes)
        for t in range(len(start) - 1):
            for i in range(BLOCK):
                alive[i] = np.int32(-1)
            for j in range(start[t], start[t + 1]):
                code, limit, bits = codes[column[j]], rank[j], mask[j]
                for i in range(BLOCK):
                    alive[i] &= bits if code[i] > limit else np.int32(-1)
            for i in range(n):
                out[at + i] += leaf[t * LEAVES + _lowest_bit(alive[i])]


@jit
def _paths(
    x: Array,
    feature: Index,
    missing: Index,
    column: Index,
    start: Index,
    leaf: Array,
    left: Index,
    right: Index,
    mean: Array,
    cut: Array,
    out: Array,
) -> None:
    for i in range(x.shape[0]):
        for t in range(len(start) - 1):
            if start[t] == start[t + 1]:
                out[i, 0] += leaf[t * LEAVES]
                continue
            j = start[t]
            now = mean[j]
            out[i, 0] += now
            while j >= 0:
                c = column[j]
                value = x[i, feature[c]]
                if value != value and missing[c] == ZERO:
                    value = 0.0
                goes_left = missing[c] == LEFT if value != value else value <= cut[j]
                f = feature[c]
                j = left[j] if goes_left else right[j]
                then = mean[j] if j >= 0 else leaf[~j]
                out[i, 1 + f] += then - now
                now = then


def margins(forest: Forest, x: Array) -> Array:
    """Sum of the leaves f8[n] of each row of `x` f8[n, features]: LightGBM's raw score, bit for
    bit.
    """
    out = np.zeros(len(x))
    _margins(np.ascontiguousarray(x), *forest[:9], out)
    return out


def contributions(forest: Forest, x: Array, features: int) -> Array:
    """f8[n, 1 + features]: mean score, then the change along each row's path at the feature's
    splits (Saabas 2014).
    """
    out = np.zeros((len(x), 1 + features))
    _paths(
        np.ascontiguousarray(x),
        forest.feature,
        forest.missing,
        forest.column,
        forest.start,
        forest.leaf,
        forest.left,
        forest.right,
        forest.mean,
        forest.cut,
        out,
    )
    return out


def cuts(forest: Forest, features: int) -> list[Array]:
    """For each feature, the thresholds of its nodes."""
    of = np.repeat(forest.feature, np.diff(forest.first))
    return [forest.threshold[of == k] for k in range(features)]
