"""Gradient boosted trees: LightGBM trains, and its own text is what is served."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from model.detectors.trees.boosted import Boosted
from model.detectors.trees.imbalance import Sample

Untyped = Any
"""LightGBM ships no types."""


class LightGBM(Boosted):
    """Trees grown leaf by leaf."""

    name: ClassVar[str] = "lightgbm"
    files: ClassVar[tuple[str, ...]] = ("lightgbm.txt",)

    @staticmethod
    def _trained(bags: Iterable[Sample], chosen: Mapping[str, float], seed: int) -> str:
        import lightgbm  # 2 s and 100 MB (scikit-learn, pandas) that a scorer need not pay

        options = {
            "objective": "binary",
            "num_leaves": max(2, int(chosen["leaves"])),
            "learning_rate": chosen["rate"],
            "feature_fraction": chosen["columns"],
            "min_data_in_leaf": 20,
            "max_bin": 127,
            "lambda_l2": 1.0,
            "deterministic": True,
            "force_row_wise": True,
            "verbose": -1,
            # OpenMP waits by spinning: on a busy machine two threads take ten times as long as one
            "num_threads": 1,
        }
        texts = []
        for bag, sample in enumerate(bags):
            data = lightgbm.Dataset(
                sample.x,
                sample.y.astype(np.float32),
                weight=sample.weights,
                feature_name=[f"f{i}" for i in range(sample.x.shape[1])],
            )
            booster = lightgbm.train(
                options | {"seed": seed + bag}, data, num_boost_round=int(chosen["trees"])
            )
            _adjust(booster, sample.shift, 1 / int(chosen["bags"]))
            texts.append(booster.model_to_string())
        return _joined(texts)


def _adjust(booster: Untyped, shift: float, share: float) -> None:
    """Add `shift` to the booster's score, and then take only `share` of it."""
    for tree, info in enumerate(booster.dump_model()["tree_info"] if shift or share < 1 else ()):
        for leaf in range(info["num_leaves"]):
            value = booster.get_leaf_output(tree, leaf) + (0.0 if tree else shift)
            booster.set_leaf_output(tree, leaf, value * share)


def _joined(texts: Sequence[str]) -> str:
    """One model whose score is the sum of theirs: all trees in one of LightGBM's texts, numbered
    anew.
    """
    if len(texts) == 1:
        return texts[0]
    head, tail = texts[0].split("Tree=0\n")[0], texts[0].split("end of trees")[1]
    bodies = [
        tree.split("\n", 1)[1].strip()
        for text in texts
        for tree in text.split("end of trees")[0].split("\nTree=")[1:]
    ]
    numbered = [f"Tree={number}\n{body}\n\n\n" for number, body in enumerate(bodies)]
    head = re.sub(
        "tree_sizes=.*", "tree_sizes=" + " ".join(str(len(tree)) for tree in numbered), head
    )
    return f"{head}{''.join(numbered)}end of trees{tail}"
