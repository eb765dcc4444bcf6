"""Thresholds from what a user knows: costs, a capacity, an appetite."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.ensemble.thresholds import APPETITES, ByAmount, Fixed, HeldOut, decide, resolve, rule
from model.training.train import train
from producers.simulator.history import read_frame, simulate_history
from tidegate.errors import ConfigError
from tidegate.profile import Profile, load_profile
from tidegate.profile.spec import DAY

CARD, VECTOR = Path("profiles/card.yaml").read_text(), Path("profiles/vector.yaml").read_text()
NUMBERS = "{review: 0.5, block: 0.9}"
NOTHING = HeldOut(np.empty(0), np.empty(0, np.int64))


def profile(tmp_path: Path, thresholds: str, text: str = CARD) -> Profile:
    path = tmp_path / "mine.yaml"
    path.write_text(text.replace(f"thresholds: {NUMBERS}", f"thresholds: {thresholds}"))
    return load_profile(path)


price = st.floats(0.01, 1e6)


@given(p=st.floats(0, 1), review=price, fraud=price, block=price)
def test_no_other_action_is_cheaper(p: float, review: float, fraud: float, block: float) -> None:
    made = int(decide(ByAmount(review, block), np.array([p]), np.array([int(fraud) + 1]))[0])
    costs = [p * (int(fraud) + 1), review, (1 - p) * block]
    assert costs[made] <= min(costs) * (1 + 1e-9)


def test_a_cost_of_every_mistake_gives_two_scores(tmp_path: Path) -> None:
    found = resolve(profile(tmp_path, "{cost: {review: 2, fraud: 100, block: 40}}"), NOTHING)
    assert found == {"review": 0.02, "block": 0.95}


def test_reviews_that_never_pay_are_not_made(tmp_path: Path) -> None:
    found = resolve(profile(tmp_path, "{cost: {review: 30, fraud: 40, block: 10}}"), NOTHING)
    assert found == {"review": 0.2, "block": 0.2}


def test_a_fraud_costs_its_amount(tmp_path: Path) -> None:
    found = rule(
        resolve(profile(tmp_path, "{cost: {review: 2, fraud: amount, block: 40}}"), NOTHING)
    )
    made = decide(found, np.full(5, 0.1), np.array([-500, 0, 1_000, 2_000, 500_000]))
    assert made.tolist() == [0, 0, 0, 1, 1]
    assert decide(found, np.array([0.96]), np.array([2_000]))[0] == 2


def test_no_day_has_more_reviews_than_there_is_room_for(tmp_path: Path) -> None:
    chance = np.random.default_rng(3)
    scores = np.round(chance.random(3000), 2)
    held_out = HeldOut(scores, np.sort(chance.integers(0, 5 * DAY, 3000)))
    found = rule(resolve(profile(tmp_path, "{capacity: {reviews_per_day: 20}}"), held_out))
    assert isinstance(found, Fixed)

    def busiest_day(limits: Fixed) -> int:
        reviewed = decide(limits, scores, np.zeros(3000, np.int64)) == 1
        return int(np.bincount(held_out.times[reviewed] // DAY).max())

    assert found.block == 0.9
    assert busiest_day(found) <= 20 < busiest_day(Fixed(np.nextafter(found.review, 0), 0.9))


def test_room_for_all_reviews_everything(tmp_path: Path) -> None:
    held_out = HeldOut(np.array([0.1, 0.2, 0.95]), np.zeros(3, np.int64))
    found = resolve(profile(tmp_path, "{capacity: {reviews_per_day: 5, block: 0.7}}"), held_out)
    assert 0 < found["review"] < 1e-300
    assert found["block"] == 0.7


def test_appetites_are_in_order(tmp_path: Path) -> None:
    found = [resolve(profile(tmp_path, f"{{appetite: {name}}}"), NOTHING) for name in APPETITES]
    for name in ("review", "block"):
        assert [one[name] for one in found] == sorted(one[name] for one in found)


def test_two_numbers_stay_as_they_are(tmp_path: Path) -> None:
    assert resolve(profile(tmp_path, NUMBERS), NOTHING) == {"review": 0.5, "block": 0.9}


@pytest.mark.parametrize(
    ("thresholds", "message"),
    [
        ("{}", "expected review and block, or one of"),
        ("{review: 0.5}", "0 < review <= block <= 1"),
        ("{review: 0.5, block: 0.9, appetite: balanced}", "expected review and block, or one of"),
        (
            "{appetite: balanced, capacity: {reviews_per_day: 5}}",
            "expected review and block, or one of",
        ),
        (
            "{appetite: greedy}",
            "thresholds.appetite: expected one of cautious, balanced, permissive, got 'greedy'",
        ),
        ("{cost: {review: 2, fraud: 0, block: 5}}", "expected positive numbers"),
        ("{cost: {review: 2, fraud: sum, block: 5}}", "thresholds.cost.fraud"),
        ("{cost: {review: 2, block: 5}}", "thresholds.cost: missing field `fraud`"),
        ("{capacity: {reviews_per_day: 0}}", "at least 1 review a day"),
        ("{capacity: {reviews_per_day: 5, block: 2}}", "0 < block <= 1"),
    ],
)
def test_wrong_thresholds_name_file_line_and_expectation(
    tmp_path: Path, thresholds: str, message: str
) -> None:
    with pytest.raises(ConfigError, match=r"mine\.yaml:\d+: thresholds") as caught:
        profile(tmp_path, thresholds)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("thresholds", "message"),
    [
        ("{capacity: {reviews_per_day: 5}}", "a profile without `time` has no days"),
        (
            "{cost: {review: 2, fraud: amount, block: 5}}",
            "without `money` in one currency there is no amount",
        ),
    ],
)
def test_what_a_profile_cannot_know_is_refused(
    tmp_path: Path, thresholds: str, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        profile(tmp_path, thresholds, VECTOR)


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"review": 0.5},
        {"review": 0.9, "block": 0.5},
        {"review": float("nan"), "block": 0.5},
        {"review_cost": -1.0, "block_cost": 2.0},
    ],
)
def test_a_manifest_without_a_rule_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match="expected review <= block"):
        rule(wrong)


def test_training_keeps_the_rule_and_measures_it(tmp_path: Path) -> None:
    mine = profile(
        tmp_path, "{capacity: {reviews_per_day: 3}}", Path("profiles/wallet.yaml").read_text()
    )
    mine.models.settings["lightgbm"] = {"trees": 4, "leaves": 7}
    history = read_frame(mine, simulate_history(mine, 20_000)).history
    bundle = train(mine, history, tmp_path, lambda _share, _what: None)
    assert bundle.manifest.thresholds["block"] == 0.9
    assert 0 < bundle.manifest.thresholds["review"] < 0.9
    assert 0 < bundle.manifest.metrics["review_share"] < 0.1
