"""Reads LightGBM's text format (v4, binary objective), in which all boosted trees are saved."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model.detectors.base import Array
from model.detectors.shared.bins import LEFT, RIGHT, ZERO
from tidegate.errors import ConfigError

LEAVES = 32
"""Most leaves of a tree that is served: one bit each in a 32-bit mask."""


@dataclass(slots=True)
class Tree:
    """One tree: node by node, a child being another node or, as ~leaf, one of its leaves.

    `missing` is ZERO, LEFT or RIGHT of `model.detectors.shared.bins`; `value` and `count` (training
    rows) are those of the leaves.
    """

    feature: NDArray[np.int64]
    threshold: Array
    missing: NDArray[np.int64]
    left: NDArray[np.int64]
    right: NDArray[np.int64]
    value: Array
    count: Array


def read_trees(text: str, features: int) -> list[Tree]:
    """The trees of a text for so many features, at least one. Raises ConfigError."""
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
    return trees


def _tree(fields: dict[str, str], features: int) -> Tree:
    leaves = int(fields["num_leaves"])
    if int(fields["num_cat"]) or not 1 <= leaves <= LEAVES:
        raise ValueError(f"only numeric trees of up to {LEAVES} leaves are served")
    kind = _numbers(fields, "decision_type", leaves - 1).astype(np.int64)
    if np.any((kind & 1) | ((kind >> 2 & 3) == 1)):
        raise ValueError("categorical splits and zero_as_missing are not served")
    tree = Tree(
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
