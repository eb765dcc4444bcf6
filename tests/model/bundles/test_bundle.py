from __future__ import annotations

import hashlib
import pickle
import shutil
from pathlib import Path

import msgspec
import numpy as np
import pytest

from model.bundles.bundle import Bundle
from model.bundles.reasons import reasons
from model.ensemble.stack import Ensemble
from model.evaluation.metrics import average_precision
from model.training.train import train
from producers.simulator.history import read_frame, simulate_history
from tests.trained import Trained
from tidegate.errors import ConfigError
from tidegate.profile import load_profile

pytestmark = pytest.mark.training


def test_training_finds_fraud_far_better_than_chance(trained: Trained) -> None:
    metrics = trained.bundle.manifest.metrics
    assert metrics["average_precision"] > 20 * metrics["base_rate"]
    assert metrics["auc"] > 0.85
    assert 0 < metrics["review_share"] < 0.05


def test_the_final_score_is_a_probability(trained: Trained) -> None:
    held_out = slice(21_000, None)
    scores = trained.bundle.score(trained.values[held_out])
    assert ((scores.final > 0) & (scores.final < 1)).all()
    assert scores.final.mean() == pytest.approx((trained.labels[held_out] == 1).mean(), rel=0.5)


def test_the_test_slice_is_not_what_was_learnt(trained: Trained) -> None:
    rows = slice(25_500, None)
    again = average_precision(
        trained.bundle.score(trained.values[rows]).final, trained.labels[rows] == 1
    )
    assert again == pytest.approx(trained.bundle.manifest.metrics["average_precision"])
    assert trained.bundle.manifest.training.rows == [20_400, 5_100, 4_500]


def test_progress_goes_from_nothing_to_all(trained: Trained) -> None:
    shares = [share for share, _ in trained.steps]
    assert shares[0] == 0.0
    assert shares[-1] == 1.0
    assert shares == sorted(shares)


@pytest.mark.parametrize("name", ["wallet", "vector", "creditcard"])
def test_every_simulated_profile_trains(name: str, tmp_path: Path) -> None:
    profile = load_profile(name)
    history = read_frame(profile, simulate_history(profile, 10_000)).history
    bundle = train(profile, history, tmp_path, lambda _share, _what: None)
    assert bundle.manifest.metrics["average_precision"] > 10 * bundle.manifest.metrics["base_rate"]


def test_a_history_without_verdicts_is_refused(tmp_path: Path) -> None:
    profile = load_profile("vector")
    history = read_frame(profile, simulate_history(profile, 500).drop(columns="label")).history
    with pytest.raises(
        ConfigError, match=r"training lightgbm, online needs 10 frauds in each part"
    ):
        train(profile, history, tmp_path, lambda _share, _what: None)


def test_loaded_again_it_gives_the_same_bits(trained: Trained) -> None:
    again = Bundle.load(trained.bundle.path)
    values = trained.values[:3000]
    for ours, theirs in zip(again.score(values), trained.bundle.score(values), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_one_by_one_gives_the_same_bits(trained: Trained) -> None:
    values = trained.values[:200]
    final = trained.bundle.score(values).final
    np.testing.assert_array_equal(
        [trained.bundle.score(values[i : i + 1]).final[0] for i in range(200)], final
    )


def test_other_weights_change_the_online_part_only(trained: Trained) -> None:
    assert trained.bundle.online is not None
    values, weights = trained.values[:100], trained.bundle.online.params + 0.1
    before, after = trained.bundle.score(values), trained.bundle.score(values, weights)
    np.testing.assert_array_equal(before.detectors[:, 0], after.detectors[:, 0])
    assert (before.detectors[:, 1] != after.detectors[:, 1]).all()


def test_contributions_add_up_to_the_final_score(trained: Trained) -> None:
    values = trained.values[:500]
    odds = trained.bundle.contributions(values).sum(axis=1)
    np.testing.assert_allclose(
        1 / (1 + np.exp(-odds)), trained.bundle.score(values).final, atol=1e-9
    )


def test_reasons_name_what_raised_the_score(trained: Trained) -> None:
    worst = np.argsort(-trained.bundle.score(trained.values).final)[:20]
    for row_reasons in reasons(
        trained.bundle, trained.profile, trained.values[worst], np.zeros(20, np.int64)
    ):
        assert 1 <= len(row_reasons) <= 5
        shares = [reason.contribution for reason in row_reasons]
        assert shares == sorted(shares, reverse=True)
        assert min(shares) > 0
        assert all(
            reason.feature in trained.profile.features and reason.feature in reason.text
            for reason in row_reasons
        )


def test_what_would_let_it_pass_lets_it_pass(trained: Trained) -> None:
    bundle, names = trained.bundle, trained.profile.values
    flagged = np.flatnonzero(bundle.score(trained.values).final >= 0.5)[:200]
    amounts = np.zeros(len(flagged), np.int64)
    passing = 0
    for i, row_reasons in zip(
        flagged, reasons(bundle, trained.profile, trained.values[flagged], amounts), strict=True
    ):
        for reason in row_reasons:
            limits = [
                limit for limit in (reason.pass_at_most, reason.pass_at_least) if limit is not None
            ]
            for limit in limits:
                row = trained.values[i : i + 1].copy()
                row[0, names.index(reason.feature)] = limit
                assert bundle.score(row).final[0] < 0.5
                assert (
                    f"were at {'most' if reason.pass_at_most is not None else 'least'} {limit:.15g}"
                    in reason.text
                )
                passing += 1
    assert passing > len(flagged) / 4


def test_categories_are_told_by_name_and_have_no_limit(trained: Trained) -> None:
    worst = np.argsort(-trained.bundle.score(trained.values).final)[:300]
    flat = [
        reason
        for row_reasons in reasons(
            trained.bundle, trained.profile, trained.values[worst], np.zeros(300, np.int64)
        )
        for reason in row_reasons
        if reason.feature == "merchant_type"
    ]
    kinds = trained.profile.fields["merchant_type"].values
    assert flat
    assert all(
        reason.text.startswith(f"merchant_type = {kinds[int(reason.value or 0)]} ")
        for reason in flat
    )
    assert all(reason.pass_at_most is reason.pass_at_least is None for reason in flat)


def copied(bundle: Bundle, folder: Path) -> Path:
    path = folder / bundle.path.name
    shutil.copytree(bundle.path, path)
    return path


def resealed(path: Path) -> Path:
    """The bundle, under the name that its changed manifest asks for."""
    name = hashlib.sha256((path / "manifest.json").read_bytes()).hexdigest()[:16]
    return path.rename(path.parent / name)


@pytest.mark.parametrize("file", ["manifest.json", "lightgbm.txt", "online.json", "ensemble.json"])
@pytest.mark.parametrize(
    "damage", ["missing", "empty", "cut", "flipped", "pickle", "folder", "link"]
)
def test_damage_is_refused_with_a_mend(
    trained: Trained, tmp_path: Path, file: str, damage: str
) -> None:
    path = copied(trained.bundle, tmp_path)
    target, content = path / file, (path / file).read_bytes()
    target.unlink()
    match damage:
        case "empty":
            target.write_bytes(b"")
        case "cut":
            target.write_bytes(content[: len(content) // 2])
        case "flipped":
            target.write_bytes(content[:-3] + bytes([content[-3] ^ 1]) + content[-2:])
        case "pickle":
            target.write_bytes(pickle.dumps({"model": 1}))
        case "folder":
            target.mkdir()
        case "link":
            (tmp_path / "elsewhere").write_bytes(content)
            target.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ConfigError, match="tidegate train"):
        Bundle.load(path)


def test_a_manifest_that_reaches_outside_is_refused(trained: Trained, tmp_path: Path) -> None:
    path = copied(trained.bundle, tmp_path)
    manifest = msgspec.json.decode((path / "manifest.json").read_bytes())
    manifest["files"]["../../etc/passwd"] = manifest["files"].pop("online.json")
    (path / "manifest.json").write_bytes(msgspec.json.encode(manifest))
    with pytest.raises(ConfigError, match="must list the files"):
        Bundle.load(resealed(path))


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("format", 1, "this version of Tidegate reads format 2"),
        ("detectors", ["pickled"], "no detector"),
        ("features", ["nothing"], "among its values"),
        ("surprise", 1, "unknown field"),
        ("thresholds", {}, "expected review <= block"),
    ],
)
def test_a_manifest_of_another_kind_is_refused(
    trained: Trained, tmp_path: Path, field: str, value: object, message: str
) -> None:
    path = copied(trained.bundle, tmp_path)
    manifest = msgspec.json.decode((path / "manifest.json").read_bytes())
    manifest[field] = value
    (path / "manifest.json").write_bytes(msgspec.json.encode(manifest))
    with pytest.raises(ConfigError, match=message):
        Bundle.load(resealed(path))


def test_a_bundle_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        Bundle.load(tmp_path / "0123456789abcdef")


def test_saving_leaves_no_draft_behind(trained: Trained) -> None:
    for path in trained.bundle.path.parent.iterdir():  # other tests may save bundles there
        assert Bundle.load(path).hash == path.name


def test_the_stack_ignores_a_constant_part_and_never_turns_one_round() -> None:
    chance = np.random.default_rng(0)
    y = chance.random(2000) < 0.1
    good = np.where(y, 1.0, -1.0) + chance.normal(size=2000)
    stack = Ensemble.fit(
        np.column_stack([good, np.full(2000, 3.0), -good + chance.normal(size=2000)]), y
    )
    assert stack.weights[0] > 0
    assert stack.weights[1] == stack.weights[2] == 0
    assert stack.combine(np.column_stack([good, good, good])).mean() == pytest.approx(
        y.mean(), rel=0.05
    )


def test_a_bundle_of_before_the_fallbacks_still_loads_and_says_what_it_lacks(
    trained: Trained,
) -> None:
    stack = trained.bundle.ensemble
    assert isinstance(stack, Ensemble)
    old = Ensemble.load(
        msgspec.json.encode({"intercept": stack.intercept, "weights": stack.weights.tolist()}), 2
    )
    assert (old.intercept, old.weights.tolist()) == (stack.intercept, stack.weights.tolist())
    with pytest.raises(ConfigError, match="no stack without"):
        old.without((0,))
    with pytest.raises(ConfigError, match="another number of detectors"):
        Ensemble.load(stack.save().replace(b'"without":[0]', b'"without":[0,1]'), 2)


def test_a_stack_without_any_use_says_the_base_rate() -> None:
    y = np.arange(1000) % 100 == 0
    assert Ensemble.fit(np.zeros((1000, 2)), y).combine(np.zeros((1, 2)))[0] == pytest.approx(
        0.01, rel=1e-3
    )
