"""One conformance suite for every detector that a profile may name."""

from __future__ import annotations

import re
from collections.abc import Sequence

import lightgbm
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.linear_model import SGDClassifier
from sklearn.metrics import average_precision_score, roc_auc_score

from model.detectors.base import Array, Detector
from model.detectors.catalog import known, trained_by
from model.detectors.online import Online
from model.detectors.trees.boosted import Boosted
from model.detectors.trees.lightgbm import LightGBM
from model.detectors.trees.xgboost import XGBoost
from model.ensemble.stack import Ensemble
from model.evaluation.metrics import auc, average_precision
from tidegate.errors import ConfigError

pytestmark = pytest.mark.training

NAMES = ("wide", "amount", "code", "constant", "empty", "gaps")
QUICK: dict[str, dict[str, float]] = {name: {"epochs": 8} for name in trained_by("neural")}


def fit(kind: type[Detector], x: Array, y: np.ndarray, features: Sequence[str] = NAMES) -> Detector:
    return kind.fit(x, y, features, QUICK.get(kind.name, {}))


def data(n: int, seed: int = 0) -> tuple[Array, np.ndarray]:
    """Columns of several kinds, missing values among them; a tenth of the rows are frauds."""
    chance = np.random.default_rng(seed)
    x = np.column_stack(
        [
            chance.normal(size=n),
            np.exp(chance.normal(size=n)),
            chance.integers(0, 5, n).astype(float),
            np.ones(n),
            np.full(n, np.nan),
            chance.normal(size=n),
        ]
    )
    x[chance.random(n) < 0.2, 5] = np.nan
    signal = x[:, 0] * np.where(x[:, 2] > 2, 1, -1) + x[:, 1] + np.nan_to_num(x[:, 5], nan=1.0)
    return x, signal + chance.normal(size=n) > 4.0


@pytest.fixture(scope="module", params=sorted(known()))
def kind(request: pytest.FixtureRequest) -> type[Detector]:
    return known()[request.param]


@pytest.fixture(scope="module")
def detector(kind: type[Detector]) -> Detector:
    """Trained on arrays that cannot be written to."""
    x, y = data(4000)
    x.flags.writeable = y.flags.writeable = False
    return fit(kind, x, y)


def columns(x: Array, detector: Detector) -> Array:
    return np.ascontiguousarray(x[:, [NAMES.index(name) for name in detector.features]])


def test_seeded_and_feature_order_is_irrelevant(kind: type[Detector], detector: Detector) -> None:
    x, y = data(4000)
    order = [3, 5, 0, 2, 4, 1]
    other = fit(kind, x[:, order], y, [NAMES[i] for i in order])
    assert other.features == detector.features
    assert other.save() == detector.save()


def test_inputs_are_left_alone(detector: Detector) -> None:
    x = columns(data(500)[0], detector)
    before = x.copy()
    x.flags.writeable = False
    detector.score(x)
    detector.contributions(x)
    np.testing.assert_array_equal(x, before)


def test_missing_and_extreme_values_get_finite_scores(detector: Detector) -> None:
    rows = np.array(
        [
            [value] * len(NAMES)
            for value in (np.nan, 0.0, -0.0, 1e300, -1e300, np.inf, -np.inf, 5e-324)
        ]
    )
    assert np.isfinite(detector.score(rows)).all()


def test_saved_and_loaded_gives_the_same_bits(kind: type[Detector], detector: Detector) -> None:
    x = columns(data(1000, 1)[0], detector)
    again = kind.load(detector.save(), detector.features)
    np.testing.assert_array_equal(again.score(x), detector.score(x))
    np.testing.assert_array_equal(again.contributions(x), detector.contributions(x))


def test_better_than_chance(detector: Detector) -> None:
    x, y = data(3000, 1)
    assert auc(detector.score(columns(x, detector)), y) > (0.8 if detector.supervised else 0.7)


def test_calibrated_it_says_how_often_it_is_right(detector: Detector) -> None:
    (x, y), (fresh, outcome) = data(6000, 7), data(20_000, 8)
    stack = Ensemble.fit(detector.score(columns(x, detector))[:, None], y)
    p = stack.combine(detector.score(columns(fresh, detector))[:, None])
    tenths = np.array_split(np.argsort(p), 10)
    assert np.mean([abs(p[rows].mean() - outcome[rows].mean()) for rows in tenths]) < 0.03
    assert p[tenths[-1]].mean() > 3 * outcome.mean()


@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(cuts=st.lists(st.integers(0, 300), max_size=6))
def test_any_batches_give_the_same_bits(detector: Detector, cuts: list[int]) -> None:
    x = columns(data(300, 2)[0], detector)
    parts = np.split(x, sorted(cuts))
    np.testing.assert_array_equal(
        np.concatenate([detector.score(part) for part in parts]), detector.score(x)
    )


def test_one_by_one_gives_the_same_bits(detector: Detector) -> None:
    x = columns(data(300, 2)[0], detector)
    np.testing.assert_array_equal(
        [detector.score(x[i : i + 1])[0] for i in range(len(x))], detector.score(x)
    )


def test_contributions_add_up_to_the_score(detector: Detector) -> None:
    x = columns(data(1000, 3)[0], detector)
    np.testing.assert_allclose(
        detector.contributions(x).sum(axis=1), detector.score(x), rtol=0, atol=1e-9
    )


def test_wrong_settings_are_refused(kind: type[Detector]) -> None:
    with pytest.raises(ConfigError, match="no such setting"):
        kind.fit(*data(100), NAMES, {"deepness": 3})
    forests = dict.fromkeys(("lightgbm", "xgboost", "isolation_forest"), "trees")
    name = {"online": "rate", **forests}.get(kind.name, "epochs")
    with pytest.raises(ConfigError, match="positive number"):
        kind.fit(*data(100), NAMES, {name: -1})


@pytest.mark.parametrize(
    "garbage", [b"", b"\xff\xfe", b"{}", b"null", b"Tree=0\nnum_leaves=1\n", b"[" * 100_000]
)
def test_damaged_content_is_refused(kind: type[Detector], garbage: bytes) -> None:
    with pytest.raises(ConfigError):
        kind.load(dict.fromkeys(kind.files, garbage), NAMES)


def test_other_bytes_are_refused_or_give_numbers(kind: type[Detector], detector: Detector) -> None:
    chance, files, refused = np.random.default_rng(0), detector.save(), 0
    rows = columns(data(70, 2)[0], detector)
    for name, content in files.items():
        for _ in range(100):
            twisted = bytearray(content)
            for place in chance.integers(0, len(content), 3):
                twisted[place] = chance.integers(0, 256)
            try:
                scores = kind.load({**files, name: bytes(twisted)}, detector.features).score(rows)
            except ConfigError:
                refused += 1
            else:
                assert not np.isnan(scores).any()
    assert refused > 10


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("left_child", "0"),
        ("left_child", "-1"),
        ("right_child", "99"),
        ("num_cat", "1"),
        ("split_feature", "9"),
        ("num_leaves", "30"),
        ("num_leaves", "4000000000"),
        ("leaf_value", "nan"),
        ("decision_type", "1"),
        ("threshold", "x"),
        ("leaf_count", ""),
    ],
)
@pytest.mark.parametrize("boosted", [LightGBM, XGBoost])
def test_twisted_trees_are_refused(boosted: type[Boosted], field: str, value: str) -> None:
    text = boosted.fit(*data(4000), NAMES, {"trees": 2}).save()[boosted.files[0]].decode()
    twisted = re.sub(rf"(?<=\n{field}=)\S+", value, text, count=1)
    if field == "left_child" and value == "-1":
        twisted = text.replace("\nleft_child=", "\nleft_child=-1 ", 1)
    assert twisted != text
    with pytest.raises(ConfigError):
        boosted.load({boosted.files[0]: twisted.encode()}, NAMES)


@pytest.mark.parametrize(("leaves", "missing"), [(2, True), (31, True), (31, False), (32, True)])
def test_trees_score_as_lightgbm_does_bit_for_bit(leaves: int, missing: bool) -> None:
    x, y = data(4000)
    if not missing:  # LightGBM then lets a missing value count as 0
        x = np.nan_to_num(x)
    made = LightGBM.fit(x, y, NAMES, {"leaves": leaves})
    theirs = lightgbm.Booster(model_str=made.save()["lightgbm.txt"].decode())
    rows = columns(data(2000, 4)[0], made)
    rows[::7, 1] = np.nan
    np.testing.assert_array_equal(
        made.score(rows), theirs.predict(rows, raw_score=True, num_threads=1)
    )


@pytest.mark.parametrize("boosted", [LightGBM, XGBoost])
def test_more_leaves_than_bits_are_refused(boosted: type[Boosted]) -> None:
    with pytest.raises(ConfigError, match=rf"models\.{boosted.name}\.leaves: at most 32"):
        boosted.fit(*data(100), NAMES, {"leaves": 64})


def test_online_agrees_with_scikit_learn() -> None:
    x, y = data(1500)
    start = Online.fit(*data(500, 9), NAMES, {})
    blank = np.zeros_like(start.params)
    blank[1] = 1.0
    start = start.with_params(blank)
    params = start.params.copy()
    start.learn(params, columns(x, start), y)
    slots = start.slots(columns(x, start)) - 2
    onehot = np.zeros((len(x), len(params) - 2))
    np.put_along_axis(onehot, slots.astype(np.int64), 1.0, axis=1)
    theirs = SGDClassifier(
        loss="log_loss", learning_rate="constant", eta0=0.01, alpha=1e-6, shuffle=False
    )
    theirs.partial_fit(onehot, y, classes=[False, True])
    np.testing.assert_allclose(params[2:] * params[1], theirs.coef_[0], rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(params[0], theirs.intercept_[0], rtol=1e-9)


@settings(max_examples=25, deadline=None)
@given(cuts=st.lists(st.integers(0, 400), max_size=8))
def test_online_learns_the_same_bits_in_any_batches(cuts: list[int]) -> None:
    x, y = data(400, 5)
    start = Online.fit(*data(300, 6), NAMES, {})
    whole, parts = start.params.copy(), start.params.copy()
    rows = columns(x, start)
    start.learn(whole, rows, y)
    for part, outcome in zip(np.split(rows, sorted(cuts)), np.split(y, sorted(cuts)), strict=True):
        start.learn(parts, part, outcome)
    assert whole.tobytes() == parts.tobytes()
    assert whole.tobytes() != start.params.tobytes()


def test_weights_of_another_model_are_refused() -> None:
    with pytest.raises(ConfigError, match="another bundle"):
        Online.fit(*data(300), NAMES, {}).with_params(np.zeros(3))


def test_metrics_are_scikit_learns() -> None:
    chance = np.random.default_rng(1)
    scores, y = np.round(chance.random(500), 2), chance.random(500) < 0.2
    assert average_precision(scores, y) == pytest.approx(
        average_precision_score(y, scores), rel=1e-12
    )
    assert auc(scores, y) == pytest.approx(roc_auc_score(y, scores), rel=1e-12)
