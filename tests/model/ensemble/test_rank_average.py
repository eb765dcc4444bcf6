"""The ensemble where nobody has said what was fraud."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.bundles.bundle import Bundle
from model.detectors.base import Array
from model.ensemble.rank_average import RankAverage
from model.evaluation.metrics import auc
from model.history.fold import fold
from model.training.train import train
from producers.simulator.history import read_frame, simulate_history
from tests.model.unusual import kinds
from tidegate.errors import ConfigError
from tidegate.profile import Profile, load_profile

CHANCE = np.random.default_rng(0)
REFERENCE = np.column_stack([CHANCE.normal(size=5000), CHANCE.exponential(size=5000) * 1e6])
TEXT = Path("profiles/vector.yaml").read_text()
MODELS = "  lightgbm: {trees: 100, leaves: 31}\n  online: {rate: 0.01}\n  isolation_forest: {}"
THRESHOLDS = "thresholds: {review: 0.5, block: 0.9}"


def test_ranks_are_shares_of_the_reference() -> None:
    made = RankAverage.fit(REFERENCE, [1.0, 1.0])
    for k in range(2):
        wanted = [(REFERENCE[:, k] < value).mean() for value in REFERENCE[:500, k]]
        np.testing.assert_allclose(made.ranks(REFERENCE[:500])[:, k], wanted, atol=0.005)


def test_units_do_not_matter_and_weights_do() -> None:
    rows = np.array([[9.0, 0.0], [-9.0, 1e9]])
    assert RankAverage.fit(REFERENCE, [1.0, 1.0]).combine(rows) == pytest.approx(
        [0.5, 0.5], abs=1e-3
    )
    assert RankAverage.fit(REFERENCE, [3.0, 1.0]).combine(rows) == pytest.approx(
        [0.75, 0.25], abs=1e-3
    )


def test_equal_scores_share_their_rank() -> None:
    made = RankAverage.fit(np.zeros((100, 1)), [1.0])
    low, tied, high = made.combine(np.array([[-1.0], [0.0], [1.0]]))
    assert tied == pytest.approx(0.5)
    assert 0 < low < 0.001 < 0.999 < high < 1


def test_without_one_detector_the_other_decides() -> None:
    made = RankAverage.fit(REFERENCE, [3.0, 1.0])
    rows = REFERENCE[:50]
    np.testing.assert_array_equal(made.without((0,)).combine(rows[:, 1:]), made.ranks(rows)[:, 1])


@settings(deadline=None)
@given(cuts=st.lists(st.integers(0, 300), max_size=5))
def test_any_batches_give_the_same_bits(cuts: list[int]) -> None:
    made, rows = RankAverage.fit(REFERENCE, [2.0, 1.0]), REFERENCE[:300] * 1.01
    again = np.concatenate([made.combine(part) for part in np.split(rows, sorted(cuts))])
    np.testing.assert_array_equal(again, made.combine(rows))


def test_saved_and_loaded_it_is_the_same() -> None:
    made = RankAverage.fit(REFERENCE, [2.0, 1.0])
    again = RankAverage.load(made.save(), 2)
    np.testing.assert_array_equal(again.combine(REFERENCE), made.combine(REFERENCE))


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[:0],
        lambda text: text[:1] * 100_000,
        lambda text: text.replace(b"2.0", b"-2.0", 1),
        lambda text: text.replace(b"[[", b"[[1e9,", 1),
        lambda text: text.replace(b"[[-", b"[[", 1),
    ],
)
def test_damaged_ranks_are_refused(damage: Callable[[bytes], bytes]) -> None:
    made = RankAverage.fit(REFERENCE, [2.0, 1.0]).save()
    with pytest.raises(ConfigError, match=r"ranks\.json"):
        RankAverage.load(damage(made), 2)
    with pytest.raises(ConfigError, match="not 3 detectors"):
        RankAverage.load(made, 3)


def profile(
    folder: Path, thresholds: str, models: str = "  distance: {weight: 2}\n  largest: {}"
) -> Profile:
    path = folder / "vector.yaml"
    path.write_text(TEXT.replace(MODELS, models).replace(THRESHOLDS, f"thresholds: {thresholds}"))
    return load_profile(path)


@pytest.fixture
def without_verdicts(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Callable[[str], tuple[Bundle, Array, Array]]:
    """Trains on a history in which nothing is known; gives the bundle, the columns, and what was
    known only to us.
    """
    for place in ("model.training.fit.known", "model.bundles.bundle.known"):
        monkeypatch.setattr(place, kinds)
    history = simulate_history(load_profile("vector"), 20_000)
    truth = history.pop("label").to_numpy() == 1

    def trained(thresholds: str) -> tuple[Bundle, Array, Array]:
        mine = profile(tmp_path, thresholds)
        rows = read_frame(mine, history).history
        bundle = train(mine, rows, tmp_path, lambda _share, _what: None)
        return bundle, fold(mine, rows), truth

    return trained


def test_contamination_is_the_share_that_is_flagged(
    without_verdicts: Callable[[str], tuple[Bundle, Array, Array]],
) -> None:
    bundle, values, truth = without_verdicts("{contamination: {review: 0.02, block: 0.005}}")
    made = bundle.decide(bundle.score(values).final, np.zeros(len(values), np.int64))
    assert (made > 0).mean() == pytest.approx(0.02, rel=0.3)
    assert (made == 2).mean() == pytest.approx(0.005, rel=0.4)
    assert auc(bundle.score(values).final, truth) > 0.8
    assert set(bundle.manifest.files) == {
        "distance.json",
        "largest.json",
        "ranks.json",
        "reference.json",
    }
    assert set(bundle.manifest.metrics) == {"review_share", "block_share"}


def test_an_appetite_is_a_share_then(
    without_verdicts: Callable[[str], tuple[Bundle, Array, Array]],
) -> None:
    bundle, values, _ = without_verdicts("{appetite: cautious}")
    made = bundle.decide(bundle.score(values).final, np.zeros(len(values), np.int64))
    assert (made > 0).mean() == pytest.approx(0.02, rel=0.3)


def test_contributions_add_up_to_the_log_odds(
    without_verdicts: Callable[[str], tuple[Bundle, Array, Array]],
) -> None:
    bundle, values, _ = without_verdicts("{appetite: balanced}")
    final, shares = bundle.score(values[:500]).final, bundle.contributions(values[:500])
    np.testing.assert_allclose(shares.sum(axis=1), np.log(final / (1 - final)), atol=1e-9)
    assert (shares[:, 1:] >= -1e-9).all()
    assert shares[:, 1:].max() > 1


def test_a_cost_needs_probabilities(
    without_verdicts: Callable[[str], tuple[Bundle, Array, Array]],
) -> None:
    with pytest.raises(ConfigError, match="needs probabilities"):
        without_verdicts("{cost: {review: 2, fraud: 100, block: 40}}")


@pytest.mark.usefixtures("without_verdicts")
def test_wrong_weights_are_refused(tmp_path: Path) -> None:
    mine = profile(tmp_path, "{appetite: balanced}", "  distance: {weight: -1}")
    history = read_frame(mine, simulate_history(mine, 1_000).drop(columns="label")).history
    with pytest.raises(ConfigError, match="expected positive numbers as weights"):
        train(mine, history, tmp_path, lambda _share, _what: None)


@pytest.mark.usefixtures("without_verdicts")
def test_a_history_of_few_rows_is_refused(tmp_path: Path) -> None:
    mine = profile(tmp_path, "{appetite: balanced}")
    history = read_frame(mine, simulate_history(mine, 500).drop(columns="label")).history
    with pytest.raises(ConfigError, match="100 transactions in each part"):
        train(mine, history, tmp_path, lambda _share, _what: None)
