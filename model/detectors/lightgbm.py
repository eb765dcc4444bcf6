"""Gradient boosted trees: LightGBM trains, `model.detectors.trees` serves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from model.detectors import trees
from model.detectors.base import Array, Files, Settings, ordered, setting
from tidegate.errors import ConfigError


class LightGBM:
    """Trees of up to 32 leaves. All rows weigh the same: on the card simulator and on the handbook's data, weighting
    frauds by the imbalance, or by its root, costs 0.02 to 0.05 of average precision, and the stack calibrates anyway.
    Learning from a sample of the legitimate rows (`ratio` for each fraud) is faster by as much as it leaves out; the
    scores are shifted by the logarithm of its share (King and Zeng, "Logistic Regression in Rare Events Data", 2001).
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
                                                 "ratio": 0})
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
            "seed": seed, "deterministic": True, "force_row_wise": True, "verbose": -1,
            "num_threads": 1,  # OpenMP waits by spinning: on a busy machine two threads take ten times as long as one
        }
        rows, shift = _sampled(y, chosen["ratio"], seed)
        data = lightgbm.Dataset(inputs[rows], y[rows].astype(np.float32),
                                feature_name=[f"f{i}" for i in range(len(names))])
        booster = lightgbm.train(options, data, num_boost_round=int(chosen["trees"]))
        for leaf in range(booster.dump_model(num_iteration=1)["tree_info"][0]["num_leaves"] if shift else 0):
            booster.set_leaf_output(0, leaf, booster.get_leaf_output(0, leaf) + shift)
        return cls(booster.model_to_string(), names)

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


def _sampled(y: NDArray[np.bool_], ratio: float, seed: int) -> tuple[NDArray[np.intp], float]:
    """All frauds and about `ratio` other rows for each (0: all), and what that adds to the log-odds."""
    frauds, others = int(y.sum()), int((~y).sum())
    share = ratio * frauds / others if others else 1.0
    if not 0 < share < 1:
        return np.arange(len(y)), 0.0
    kept = y | (np.random.default_rng(seed).random(len(y)) < share)
    return np.flatnonzero(kept), float(np.log(share))
