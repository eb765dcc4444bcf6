"""Gradient boosted trees: XGBoost trains, and its trees are written as LightGBM writes its own: one
text serves both.

XGBoost compares in float32, `float32(x) < t`; the text says `x <= c` in float64, with the c that
makes both the same for every x. So each row ends in the leaves that XGBoost finds, and its score is
their sum in float64 where XGBoost adds in float32: over 100 trees the two differ by some 1e-6.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from model.detectors.base import Array
from model.detectors.packages import require
from model.detectors.trees.boosted import Boosted
from model.detectors.trees.imbalance import Sample

_LIMIT = 1e30
"""Beyond this all values are the same in training, which refuses what float32 cannot hold."""
_MISSING_RIGHT, _MISSING_LEFT = 8, 10
"""LightGBM's `decision_type`: numeric, NaN is a missing value, and where it goes."""
_SURE = 1e-6
"""XGBoost keeps its first guess so far from 0 and 1."""
Untyped = Any
"""XGBoost's types are not checked: it is optional."""


class XGBoost(Boosted):
    """Trees grown leaf by leaf, as LightGBM's are, and with the same settings."""

    name: ClassVar[str] = "xgboost"
    files: ClassVar[tuple[str, ...]] = ("xgboost.txt",)
    extra: ClassVar[str | None] = "xgboost"

    @staticmethod
    def _trained(bags: Iterable[Sample], chosen: Mapping[str, float], seed: int) -> str:
        require("xgboost", XGBoost.name)
        import xgboost  # with pandas and scikit-learn, which a scorer need not pay

        options = {
            "objective": "binary:logistic",
            "tree_method": "hist",
            "max_bin": 127,
            "grow_policy": "lossguide",
            "max_depth": 0,
            "max_leaves": max(2, int(chosen["leaves"])),
            "learning_rate": chosen["rate"],
            "colsample_bytree": chosen["columns"],
            "reg_lambda": 1.0,
            "nthread": 1,
            "verbosity": 0,
        }
        grown = []
        for bag, sample in enumerate(bags):
            data = xgboost.DMatrix(
                np.clip(sample.x, -_LIMIT, _LIMIT), sample.y, weight=sample.weights, nthread=1
            )
            booster = xgboost.train(
                options | {"seed": seed + bag}, data, num_boost_round=int(chosen["trees"])
            )
            grown.append((booster, sample.shift))
        return written(grown)


def written(grown: Sequence[tuple[Untyped, float]]) -> str:
    """LightGBM's text for boosters of binary outcomes: the score is the mean of theirs, each with
    its shift added.
    """
    blocks = [
        block for booster, shift in grown for block in _blocks(booster, shift, 1 / len(grown))
    ]
    return "".join(f"Tree={number}\n{block}\n\n" for number, block in enumerate(blocks))


def _blocks(booster: Untyped, shift: float, share: float) -> Iterator[str]:
    learner = msgspec.json.decode(booster.save_raw("json"))["learner"]
    guess = np.clip(
        float(learner["learner_model_param"]["base_score"].strip("[]")), _SURE, 1 - _SURE
    )
    first = float(np.log(guess / (1 - guess))) + shift
    for number, tree in enumerate(learner["gradient_booster"]["model"]["trees"]):
        yield _block(tree, 0.0 if number else first, share)


def _block(tree: Mapping[str, Untyped], more: float, share: float) -> str:
    """A tree whose nodes XGBoost keeps in one list, a leaf being one without children."""
    left, right = np.array(tree["left_children"]), np.array(tree["right_children"])
    inner, leaves = np.flatnonzero(left >= 0), np.flatnonzero(left < 0)
    place = np.empty(len(left), np.int64)
    place[inner], place[leaves] = np.arange(len(inner)), ~np.arange(len(leaves))
    values = np.array(tree["split_conditions"], np.float32)
    fields = {
        "num_leaves": [len(leaves)],
        "num_cat": [0],
        "split_feature": np.array(tree["split_indices"])[inner],
        "threshold": _largest_below(values[inner]),
        "decision_type": np.where(
            np.array(tree["default_left"])[inner], _MISSING_LEFT, _MISSING_RIGHT
        ),
        "left_child": place[left[inner]],
        "right_child": place[right[inner]],
        "leaf_value": (values[leaves].astype(np.float64) + more) * share,
        "leaf_count": np.array(tree["sum_hessian"])[leaves],
    }
    return "".join(
        f"{name}={' '.join(map(str, np.asarray(column).tolist()))}\n"
        for name, column in fields.items()
    )


def _largest_below(threshold: NDArray[np.float32]) -> Array:
    """The largest float64 that is below `threshold` once it is rounded to float32: half way to the
    float32 before it, or, where that is rounded up (to even), just less.
    """
    before = np.nextafter(threshold, np.float32(-np.inf))
    middle = (before.astype(np.float64) + threshold.astype(np.float64)) / 2
    return np.where(middle.astype(np.float32) < threshold, middle, np.nextafter(middle, -np.inf))
