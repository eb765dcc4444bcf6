"""Learning from samples of few frauds among many legitimate rows."""

from __future__ import annotations

import sys

import lightgbm
import numpy as np
import pytest

from model.detectors.trees.boosted import Boosted
from model.detectors.trees.imbalance import DEFAULTS, Sample, samples
from model.detectors.trees.lightgbm import LightGBM
from model.detectors.trees.xgboost import XGBoost
from model.ensemble.combiner import sigmoid
from model.evaluation.metrics import auc
from tests.model.detectors.test_detectors import NAMES, columns, data
from tidegate.errors import ConfigError

pytestmark = pytest.mark.training

SETTINGS: dict[str, dict[str, float]] = {
    "undersampled": {"ratio": 2},
    "balanced bagging": {"ratio": 2, "bags": 3},
    "smote": {"smote": 0.5},
    "both": {"ratio": 4, "smote": 0.5, "bags": 2},
    "weighted": {"fraud_weight": 9},
}


def drawn(settings: dict[str, float], seed: int = 3) -> list[Sample]:
    return list(samples("lightgbm", *data(4000), {**DEFAULTS, **settings}, seed))


@pytest.mark.parametrize("boosted", [LightGBM, XGBoost])
@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
def test_scores_are_about_those_of_the_whole_history(
    settings: dict[str, float], boosted: type[Boosted]
) -> None:
    (x, y), (fresh, outcome) = data(6000, 7), data(6000, 8)
    whole, sampled = (
        boosted.fit(x, y, NAMES, {"trees": 40, **given}, 3) for given in ({}, settings)
    )
    fresh = columns(fresh, whole)
    p, again = (
        sigmoid(part.score(fresh))
        for part in (sampled, boosted.load(sampled.save(), sampled.features))
    )
    assert p.mean() == pytest.approx(
        outcome.mean(), rel=0.5 if {"smote", "fraud_weight"} & set(settings) else 0.2
    )
    assert auc(p, outcome) > auc(whole.score(fresh), outcome) - 0.02
    np.testing.assert_array_equal(p, again)
    np.testing.assert_allclose(
        sampled.contributions(fresh).sum(axis=1), sampled.score(fresh), rtol=0, atol=1e-9
    )


def test_the_trees_of_all_bags_are_one_lightgbm_model() -> None:
    x, y = data(4000)
    detector = LightGBM.fit(x, y, NAMES, {"ratio": 2, "bags": 3, "trees": 7})
    booster = lightgbm.Booster(model_str=detector.save()["lightgbm.txt"].decode())
    rows = columns(data(500, 1)[0], detector)
    assert booster.num_trees() == 21
    np.testing.assert_array_equal(detector.score(rows), booster.predict(rows, raw_score=True))


def test_a_bag_holds_all_frauds_and_some_others() -> None:
    y = data(4000)[1]
    bags = drawn({"ratio": 2, "bags": 3})
    assert [bag.y.sum() for bag in bags] == [y.sum()] * 3
    assert [len(bag.y) for bag in bags] == pytest.approx([3 * y.sum()] * 3, rel=0.1)
    assert not any(
        bags[0].x.shape == bag.x.shape and np.array_equal(bags[0].x, bag.x, equal_nan=True)
        for bag in bags[1:]
    )


def test_frauds_are_made_up_between_frauds() -> None:
    x, y = data(4000)
    [sample] = drawn({"smote": 0.5})
    made = sample.x[len(x) :]
    np.testing.assert_array_equal(sample.x[: len(x)], x)
    assert sample.y.sum() == pytest.approx(0.5 * (~y).sum(), abs=1)
    assert (made[:, 0] >= x[y, 0].min()).all()
    assert (made[:, 0] <= x[y, 0].max()).all()
    np.testing.assert_array_equal(made[:, 4], 0.0)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"bags": 5}, "without a `ratio`"),
        ({"smote": 2}, "at most 1"),
        ({"smote": -1}, "positive number"),
    ],
)
def test_what_makes_no_sense_is_refused(settings: dict[str, float], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        LightGBM.fit(*data(400), NAMES, settings)


def test_smote_without_its_package_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "imblearn.over_sampling", None)
    with pytest.raises(ConfigError, match="needs imbalanced-learn"):
        drawn({"smote": 0.5})
