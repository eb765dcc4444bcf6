"""Gradient boosted trees: LightGBM trains, `model.detectors.trees` serves."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from model.detectors import imbalance, trees
from model.detectors.base import Array, Files, Settings, ordered, setting
from tidegate.errors import ConfigError

Untyped = Any
"""LightGBM ships no types."""


class LightGBM:
    """Trees of up to 32 leaves. All rows weigh the same: on the card simulator and on the handbook's data, weighting
    frauds by the imbalance, or by its root, costs 0.02 to 0.05 of average precision, and the stack calibrates anyway.
    It may learn from samples instead (`model.detectors.imbalance`); with several `bags`, each has trees of its own, and
    the score is the mean of theirs (balanced bagging).
    """

    name: ClassVar[str] = "lightgbm"
    files: ClassVar[tuple[str, ...]] = ("lightgbm.txt",)
    supervised: ClassVar[bool] = True

    def __init__(self, text: str, features: tuple[str, ...]) -> None:
        self.features = features
        self._text = text
        self._forest = trees.parse(text, len(features))

    @classmethod
    def fit(cls, x: Array, y: NDArray[np.bool_], features: Sequence[str], settings: Settings,
            seed: int = 0) -> Self:
        import lightgbm  # 2 s and 100 MB (scikit-learn, pandas) that a scorer need not pay

        chosen = setting(cls.name, settings, {"trees": 100, "leaves": 31, "rate": 0.05, "columns": 1.0,
                                              **imbalance.DEFAULTS})
        if chosen["leaves"] > trees.LEAVES:
            raise ConfigError(f"models.lightgbm.leaves: at most {trees.LEAVES}, got {chosen['leaves']:g}")
        if chosen["columns"] > 1:
            raise ConfigError(f"models.lightgbm.columns: a share of at most 1, got {chosen['columns']:g}")
        inputs, names = ordered(x, features)
        options = {
            "objective": "binary", "num_leaves": max(2, int(chosen["leaves"])), "learning_rate": chosen["rate"],
            "feature_fraction": chosen["columns"],
            "min_data_in_leaf": 20, "max_bin": 127,
            "lambda_l2": 1.0,
            "deterministic": True, "force_row_wise": True, "verbose": -1,
            "num_threads": 1,  # OpenMP waits by spinning: on a busy machine two threads take ten times as long as one
        }
        texts = []
        for bag, sample in enumerate(imbalance.samples(inputs, y, chosen, seed)):
            data = lightgbm.Dataset(sample.x, sample.y.astype(np.float32), weight=sample.weights,
                                    feature_name=[f"f{i}" for i in range(len(names))])
            booster = lightgbm.train(options | {"seed": seed + bag}, data, num_boost_round=int(chosen["trees"]))
            _adjust(booster, sample.shift, 1 / int(chosen["bags"]))
            texts.append(booster.model_to_string())
        return cls(_joined(texts), names)

    @property
    def cuts(self) -> list[Array]:
        """For each feature, the values between which its score can change."""
        return trees.cuts(self._forest, len(self.features))

    def score(self, x: Array) -> Array:
        return trees.margins(self._forest, x)

    def contributions(self, x: Array) -> Array:
        return trees.contributions(self._forest, x, len(self.features))

    def save(self) -> Files:
        return {self.files[0]: self._text.encode()}

    @classmethod
    def load(cls, files: Files, features: Sequence[str]) -> Self:
        try:
            return cls(files[cls.files[0]].decode("ascii"), tuple(features))
        except UnicodeDecodeError as error:
            raise ConfigError(f"{cls.files[0]} is not a LightGBM text ({error}): fetch the bundle again") from error


def _adjust(booster: Untyped, shift: float, share: float) -> None:
    """Add `shift` to the booster's score, and then take only `share` of it."""
    for tree, info in enumerate(booster.dump_model()["tree_info"] if shift or share < 1 else ()):
        for leaf in range(info["num_leaves"]):
            value = booster.get_leaf_output(tree, leaf) + (0.0 if tree else shift)
            booster.set_leaf_output(tree, leaf, value * share)


def _joined(texts: Sequence[str]) -> str:
    """One model whose score is the sum of theirs: all trees in one of LightGBM's texts, numbered anew."""
    if len(texts) == 1:
        return texts[0]
    head, tail = texts[0].split("Tree=0\n")[0], texts[0].split("end of trees")[1]
    bodies = [tree.split("\n", 1)[1].strip() for text in texts
              for tree in text.split("end of trees")[0].split("\nTree=")[1:]]
    numbered = [f"Tree={number}\n{body}\n\n\n" for number, body in enumerate(bodies)]
    head = re.sub("tree_sizes=.*", "tree_sizes=" + " ".join(str(len(tree)) for tree in numbered), head)
    return f"{head}{''.join(numbered)}end of trees{tail}"
