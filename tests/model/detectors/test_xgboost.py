"""What XGBoost trains scores as XGBoost does, by the leaves of the same trees."""

from __future__ import annotations

import importlib.util
import sys
from typing import Any

import msgspec
import numpy as np
import pytest
import xgboost

from model.detectors.base import Array
from model.detectors.catalog import check_installed
from model.detectors.trees.xgboost import XGBoost, written
from model.ensemble.combiner import sigmoid
from tests.model.detectors.test_detectors import NAMES, data
from tidegate.errors import ConfigError

pytestmark = pytest.mark.training

GROWN: dict[str, dict[str, Any]] = {
    "as ours": {
        "tree_method": "hist",
        "grow_policy": "lossguide",
        "max_depth": 0,
        "max_leaves": 32,
        "eta": 0.05,
    },
    "by depth": {"tree_method": "hist", "max_depth": 5, "colsample_bytree": 0.5},
    "a cut at each value": {"tree_method": "exact", "max_depth": 3, "base_score": 0.3},
}


@pytest.fixture(scope="module", params=GROWN.values(), ids=GROWN)
def booster(request: pytest.FixtureRequest) -> xgboost.Booster:
    x, y = data(4000)
    options = {"objective": "binary:logistic", "nthread": 1, **request.param}
    return xgboost.train(options, xgboost.DMatrix(x, y, nthread=1), num_boost_round=100)


def document(booster: xgboost.Booster) -> Any:  # noqa: ANN401 - a JSON document
    return msgspec.json.decode(booster.save_raw("json"))["learner"]


def rows_at_cuts(booster: xgboost.Booster) -> Array:
    """Rows of data, and rows that lie at the cuts of the trees, and as near to them as float32 and
    float64 can.
    """
    x, chance = data(20_000, 4)[0], np.random.default_rng(0)
    for tree in document(booster)["gradient_booster"]["model"]["trees"]:
        for at in np.flatnonzero(np.array(tree["left_children"]) >= 0):
            cut = np.float32(tree["split_conditions"][at])
            before = np.nextafter(cut, np.float32(-np.inf)).astype(float)
            middle = (before + float(cut)) / 2
            near = [
                cut,
                before,
                middle,
                np.nextafter(middle, -np.inf),
                np.nextafter(middle, np.inf),
            ]
            x[chance.integers(0, len(x), 5), tree["split_indices"][at]] = near
    x[::7, 1] = np.nan
    return x


def test_every_row_ends_in_the_leaves_that_xgboost_finds(booster: xgboost.Booster) -> None:
    x, trees = rows_at_cuts(booster), document(booster)["gradient_booster"]["model"]["trees"]
    data = xgboost.DMatrix(x, nthread=1)
    places = booster.predict(data, pred_leaf=True).astype(int)
    leaves = np.column_stack(
        [
            np.float32(tree["split_conditions"])[place]
            for tree, place in zip(trees, places.T, strict=True)
        ]
    )
    prior = float(document(booster)["learner_model_param"]["base_score"].strip("[]"))
    ours = XGBoost(written([(booster, 0.0)]), NAMES).score(x)
    exact = np.log(prior / (1 - prior)) + leaves.astype(np.float64).sum(axis=1)
    np.testing.assert_allclose(ours, exact, rtol=0, atol=1e-12)
    theirs = booster.predict(data, output_margin=True).astype(np.float64)
    np.testing.assert_allclose(
        ours, theirs, rtol=0, atol=1e-5, err_msg="which XGBoost adds up in float32"
    )
    np.testing.assert_allclose(sigmoid(ours), sigmoid(theirs), rtol=0, atol=1e-6)


def test_the_mean_of_two_boosters_and_their_shifts(booster: xgboost.Booster) -> None:
    x = data(500, 1)[0]
    alone, both = (
        XGBoost(written(grown), NAMES)
        for grown in ([(booster, 0.0)], [(booster, 1.0), (booster, -3.0)])
    )
    np.testing.assert_allclose(both.score(x), alone.score(x) - 1.0, rtol=0, atol=1e-12)


def test_without_xgboost_training_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "xgboost", None)
    with pytest.raises(
        ConfigError,
        match=r"training xgboost needs XGBoost: run `make xgboost`.*tidegate\[xgboost\]",
    ):
        XGBoost.fit(*data(100), NAMES, {})


def test_what_is_trained_by_an_installed_package_needs_no_word() -> None:
    assert importlib.util.find_spec("tensorflow")
    check_installed(["lightgbm", "xgboost", "keras"])
