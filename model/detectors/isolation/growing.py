"""Grows isolation trees (Liu, Ting and Zhou, ICDM 2008): random cuts until a row is alone."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from model.detectors.base import Array, Index
from model.jit import jit

Nodes = NDArray[np.void]
NODE = np.dtype([("cut", "<f8"), ("path", "<f8"), ("column", "<i4"), ("right", "<i4")])
"""A node; `model.detectors.isolation.forest` draws a tree of them.

`value <= cut` goes to the next node, else to number `right` of the tree; a leaf has the column -1.
`path` is the mean path length of the training rows that pass: for a leaf its depth, and what it
would take to split the rows left in it.
"""
_EULER = 0.5772156649015329


@jit
def expected(n: int) -> float:
    """c(n) of the paper: the mean path length of an unsuccessful search among `n` rows."""
    if n <= 2:
        return max(n - 1.0, 0.0)
    return 2.0 * (math.log(n - 1.0) + _EULER) - 2.0 * (n - 1.0) / n


@jit
def _cut(x: Array, rows: Index, chance: np.random.Generator) -> tuple[int, float]:
    """A random column among those that vary in these rows, and a random cut between its extremes.

    The column is -1 where none varies.
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
    """Reorder `rows` so that those up to `cut` come first; returns how many they are."""
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
    """One tree, parents before children and left before right; returns the number of its nodes."""
    weights = np.empty(2 * len(rows), np.int64)
    stack = [(0, len(rows), 0, -1)]
    nodes = 0
    while stack:
        first, end, depth, parent = stack.pop()
        if parent >= 0:
            rights[parent] = nodes
        n = end - first
        columns[nodes], cuts[nodes] = -1, 0.0
        if n > 1 and depth < deepest:
            columns[nodes], cuts[nodes] = _cut(x, rows[first:end], chance)
        rights[nodes], weights[nodes] = 0, n
        paths[nodes] = depth + expected(n)
        if columns[nodes] >= 0:
            middle = first + _partition(x, rows[first:end], columns[nodes], cuts[nodes])
            stack.append((middle, end, depth + 1, nodes))
            stack.append((first, middle, depth + 1, -1))
        nodes += 1
    for node in range(nodes - 1, -1, -1):
        if columns[node] >= 0:
            left, right = node + 1, rights[node]
            below = paths[left] * weights[left] + paths[right] * weights[right]
            paths[node] = below / weights[node]
    return nodes


def grow(x: Array, trees: int, sample: int, seed: int) -> tuple[Nodes, Index]:
    """Trees, each of `sample` rows of `x` f8[n, c]: all their nodes, and where each tree begins.

    After the last tree's beginning comes the end.
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
        nodes["cut"], nodes["path"] = cuts[:n], paths[:n]
        nodes["column"], nodes["right"] = columns[:n], rights[:n]
        grown.append(nodes)
    return np.concatenate(grown), np.cumsum([0, *map(len, grown)])
