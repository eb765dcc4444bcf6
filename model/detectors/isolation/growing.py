"""Grows isolation trees: random cuts of random columns until a row is alone (Liu, Ting and Zhou,
ICDM 2008).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from model.detectors.base import Array, Index
from model.jit import jit

Nodes = NDArray[np.void]
NODE = np.dtype([("cut", "<f8"), ("path", "<f8"), ("column", "<i4"), ("right", "<i4")])
"""`value <= cut` goes to the next node, else to `right`; a leaf has the column -1. `path` is the
mean length of the paths of the training rows that come by: a leaf's depth and what the unsplit rows
in it would add."""
_EULER = 0.5772156649015329


@jit
def expected(n: int) -> float:
    """The mean path length of an unsuccessful search in a binary tree of `n` rows: c(n) of the
    paper.
    """
    if n <= 2:
        return max(n - 1.0, 0.0)
    return 2.0 * (math.log(n - 1.0) + _EULER) - 2.0 * (n - 1.0) / n


@jit
def _cut(x: Array, rows: Index, chance: np.random.Generator) -> tuple[int, float]:
    """A random one of the columns that vary in these rows, and a random place between its extremes;
    -1 for none.
    """
    columns = np.arange(x.shape[1])
    for left in range(len(columns), 0, -1):
        pick = chance.integers(0, left)
        column = columns[pick]
        columns[pick] = columns[left - 1]
        low = high = x[rows[0], column]
        for row in rows:
            low, high = min(low, x[row, column]), max(high, x[row, column])
        if low < high:
            cut = low + chance.random() * (high - low)
            return column, cut if cut < high else low
    return -1, 0.0


@jit
def _partition(x: Array, rows: Index, column: int, cut: float) -> int:
    """Reorder `rows` so that those up to `cut` come first; how many they are."""
    end = 0
    for i in range(len(rows)):
        if x[rows[i], column] <= cut:
            rows[i], rows[end] = rows[end], rows[i]
            end += 1
    return end


@jit
def _tree(
    x: Array,
    rows: Index,
    deepest: int,
    chance: np.random.Generator,
    cuts: Array,
    paths: Array,
    columns: Index,
    rights: Index,
) -> int:
    """One tree, parents before children and left before right; how many nodes it has."""
    weights = np.empty(2 * len(rows), np.int64)
    stack = [(0, len(rows), 0, -1)]
    at = 0
    while stack:
        first, end, depth, parent = stack.pop()
        if parent >= 0:
            rights[parent] = at
        n = end - first
        columns[at], cuts[at] = (
            (-1, 0.0) if n <= 1 or depth >= deepest else _cut(x, rows[first:end], chance)
        )
        rights[at], weights[at] = 0, n
        paths[at] = depth + expected(n)
        if columns[at] >= 0:
            middle = first + _partition(x, rows[first:end], columns[at], cuts[at])
            stack.append((middle, end, depth + 1, at))
            stack.append((first, middle, depth + 1, -1))
        at += 1
    for node in range(at - 1, -1, -1):
        if columns[node] >= 0:
            left, right = node + 1, rights[node]
            paths[node] = (paths[left] * weights[left] + paths[right] * weights[right]) / weights[
                node
            ]
    return at


def grow(x: Array, trees: int, sample: int, seed: int) -> tuple[Nodes, Index]:
    """`trees` trees, each of `sample` rows of `x` f8[n, c]: their nodes, and where each tree begins
    (and the end).
    """
    chance = np.random.default_rng(seed)
    grown = []
    deepest = math.ceil(math.log2(max(sample, 2)))
    for _ in range(trees):
        rows = chance.choice(len(x), sample, replace=False)
        cuts, paths = np.empty(2 * sample), np.empty(2 * sample)
        columns, rights = np.empty(2 * sample, np.int64), np.empty(2 * sample, np.int64)
        n = _tree(x, rows, deepest, chance, cuts, paths, columns, rights)
        nodes = np.empty(n, NODE)
        for name, part in (("cut", cuts), ("path", paths), ("column", columns), ("right", rights)):
            nodes[name] = part[:n]
        grown.append(nodes)
    return np.concatenate(grown), np.cumsum([0, *map(len, grown)])
