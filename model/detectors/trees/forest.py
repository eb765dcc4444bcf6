r"""Boosted trees as plain arrays, scored by compiled loops without the package that trained them.

Scores are bit-equal to `lightgbm.Booster.predict(raw_score=True)`. The method is QuickScorer
(Lucchese et al., SIGIR 2015) over blocks of rows: each leaf is a bit, each failed test `value <=
threshold` clears the bits of its left subtree, and the lowest bit left is the leaf. All rows of a
block are tested against a node in one vector instruction. A tree of three nodes, its leaves
numbered from left to right:

            a <= 5               node      mask (bit 3 to bit 0)
           /      \              a <= 5    1100   L3 and L2 remain when it fails
      b <= 1      c <= 7         b <= 1    1110
      /    \      /    \         c <= 7    1011
    L0     L1   L2     L3


A row with a = 9, b = 3, c = 7 fails the first two tests: 1111 & 1100 & 1110 = 1100. The lowest bit
is bit 2, so the row ends in L2.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from model.detectors.base import Array, Index
from model.detectors.shared.bins import BLOCK, LEFT, ZERO, digitize
from model.detectors.trees.text import LEAVES, Tree, read_trees
from model.jit import jit


class Forest(NamedTuple):
    """Trees compiled for scoring, and their nodes for explaining.

    A column is a pair (feature, where a missing value goes), with its sorted distinct thresholds.
    """

    feature: Index  # of each column
    missing: Index  # of each column: ZERO, LEFT or RIGHT
    first: Index  # of each column, and one more: its first threshold
    threshold: Array
    column: Index  # of each node
    code: NDArray[np.int32]  # of each node: the bin that its threshold closes, as in `digitize`
    mask: NDArray[np.int32]  # of each node: all leaves but those of the left subtree
    start: Index  # of each tree, and one more: its first node
    leaf: Array  # LEAVES of each tree, left to right
    left: Index  # of each node: child node, or ~(index in leaf)
    right: NDArray[np.int64]
    mean: Array  # of each node: mean of its leaves, weighted by training rows
    cut: Array  # of each node: its threshold


def parse(text: str, features: int) -> Forest:
    """The forest of a text in LightGBM's format. Raises ConfigError when it cannot be served."""
    return _compile(read_trees(text, features))


def _compile(trees: list[Tree]) -> Forest:
    feature, missing, cut = (
        np.concatenate([getattr(tree, name) for tree in trees])
        for name in ("feature", "missing", "threshold")
    )
    columns, column = np.unique(feature * 3 + missing, return_inverse=True)
    thresholds = [np.unique(cut[column == c]) for c in range(len(columns))]
    code = np.empty(len(cut), np.int32)
    for c, values in enumerate(thresholds):
        code[column == c] = np.searchsorted(values, cut[column == c])
    start = np.cumsum([0, *(len(tree.feature) for tree in trees)])
    layouts = [_layout(tree, t, int(start[t])) for t, tree in enumerate(trees)]
    mask, leaf, left, right, mean = (np.concatenate(each) for each in zip(*layouts, strict=True))
    return Forest(
        (columns // 3).astype(np.int64),
        (columns % 3).astype(np.int64),
        np.cumsum([0, *(len(values) for values in thresholds)]).astype(np.int64),
        np.concatenate([*thresholds, np.empty(0)]),
        column.astype(np.int64),
        code,
        mask,
        start.astype(np.int64),
        leaf,
        left,
        right,
        mean,
        cut,
    )


def _layout(tree: Tree, t: int, base: int) -> tuple[NDArray[Any], ...]:
    """Masks, padded leaves, children and means of one tree, its leaves from left to right."""
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
        [~sum(1 << int(place[leaf]) for leaf in left) & 0xFFFFFFFF for left in below], np.uint32
    )
    padded = np.zeros(LEAVES)
    padded[: len(order)] = tree.value[order]
    children = [
        np.where(side >= 0, base + side, ~(t * LEAVES + place[np.where(side < 0, ~side, 0)]))
        for side in (tree.left, tree.right)
    ]
    return mask.view(np.int32), padded, *children, _means(tree)


def _means(tree: Tree) -> Array:
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
    code: NDArray[np.int32],
    mask: NDArray[np.int32],
    start: Index,
    leaf: Array,
    out: Array,
) -> None:
    codes = np.zeros((len(feature), BLOCK), np.int32)
    alive = np.empty(BLOCK, np.int32)
    for at in range(0, x.shape[0], BLOCK):
        n = min(BLOCK, x.shape[0] - at)
        digitize(x, at, n, feature, missing, first, threshold, codes)
        for t in range(len(start) - 1):
            for i in range(BLOCK):
                alive[i] = np.int32(-1)
            for j in range(start[t], start[t + 1]):
                of_rows, largest, bits = codes[column[j]], code[j], mask[j]
                for i in range(BLOCK):
                    alive[i] &= bits if of_rows[i] > largest else np.int32(-1)
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
    """LightGBM's raw score f8[n] of `x` f8[n, features], bit for bit: the sum of a row's leaves."""
    out = np.zeros(len(x))
    _margins(np.ascontiguousarray(x), *forest[:9], out)
    return out


def contributions(forest: Forest, x: Array, features: int) -> Array:
    """f8[n, 1 + features]: the mean score, then what each feature's splits change (Saabas 2014)."""
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
