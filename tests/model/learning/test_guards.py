"""The fold of labels by itself: corrections, clipped steps, weights of sources, and the contest
with the frozen model.
"""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.detectors.base import Array
from model.detectors.online import Online
from model.learning.adwin import Adwin
from model.learning.guards import Contest
from model.learning.learned import LabelRecord, LearnState
from model.learning.learner import Learner
from tests.model.detectors.test_detectors import NAMES, columns, data
from tidegate.errors import ConfigError

pytestmark = pytest.mark.training


@pytest.fixture(scope="module")
def online() -> Online:
    return Online.fit(*data(2000), NAMES, {})


@pytest.fixture(scope="module")
def rows(online: Online) -> Array:
    return columns(data(400, 7)[0], online)


def label_at(
    number: int,
    fraud: bool,
    label: str = "",
    given_us: int = 0,
    weight: float = 1.0,
) -> LabelRecord:
    return LabelRecord(number, label or f"l{number}{fraud}", f"t{number}", fraud, given_us, weight)


def folded(
    online: Online, rows: Array, labels: list[LabelRecord]
) -> tuple[LearnState, Counter[str]]:
    learner = Learner(online)
    state = learner.new_state()
    numbers = [int(label.transaction_id[1:]) for label in labels]
    return state, Counter(learner.fold(state, labels, np.ascontiguousarray(rows[numbers])))


def test_a_correction_takes_back_what_the_label_before_it_added(
    online: Online, rows: Array
) -> None:
    others = [label_at(number, number % 3 == 0) for number in range(10, 60)]
    corrected, outcomes = folded(
        online, rows, [label_at(1, fraud=True), label_at(1, fraud=False, given_us=1), *others]
    )
    never, _ = folded(online, rows, [label_at(1, fraud=False), *others])
    wrong, _ = folded(online, rows, [label_at(1, fraud=True), *others])
    assert outcomes == {"learnt": 51, "corrected": 1}
    off = np.abs(corrected.params - never.params).max()
    assert off < 1e-6 < np.abs(wrong.params - never.params).max()


def test_a_correction_of_a_correction_stands(online: Online, rows: Array) -> None:
    thrice, outcomes = folded(
        online,
        rows,
        [
            label_at(1, True, "a"),
            label_at(1, False, "b", given_us=1),
            label_at(1, True, "c", given_us=2),
        ],
    )
    once, _ = folded(online, rows, [label_at(1, fraud=True)])
    assert outcomes == {"learnt": 1, "corrected": 2}
    np.testing.assert_allclose(thrice.params, once.params, rtol=0, atol=1e-6)


def test_saying_the_same_again_changes_no_weight(online: Online, rows: Array) -> None:
    state, outcomes = folded(
        online,
        rows,
        [label_at(1, True), label_at(1, True), label_at(1, True, "again", 1)],
    )
    assert outcomes == {"learnt": 1, "duplicate": 1, "repeated": 1}
    assert state.params.tobytes() == folded(online, rows, [label_at(1, True)])[0].params.tobytes()


@pytest.mark.parametrize("rate", [0.01, 1.0, 1000.0])
def test_no_label_moves_its_own_row_by_more_than_one(rows: Array, rate: float) -> None:
    wild = Online.fit(*data(500), NAMES, {"rate": rate})
    for fraud in (True, False):
        params = np.zeros_like(wild.params)
        params[1] = 1.0
        slots = wild.slots(rows)
        before = wild.margins(params, slots)
        for i in range(len(rows)):
            own = wild.margins(params, slots[i : i + 1])[0]
            gain = wild.step(params, slots[i], fraud)
            assert abs(wild.margins(params, slots[i : i + 1])[0] - own) <= 1.0 + 1e-2
            assert abs(gain) <= min(rate, 1.0 / (1 + len(NAMES)))
        assert (wild.margins(params, slots) > before).all() == fraud


def test_a_source_of_less_weight_takes_that_share_of_the_step(online: Online, rows: Array) -> None:
    slots = online.slots(rows[:1])[0]
    whole, half = online.params.copy(), online.params.copy()
    step = online.step(whole, slots, fraud=True)
    assert online.step(half, slots, fraud=True, weight=0.5) == step / 2
    state, outcomes = folded(online, rows, [label_at(0, True, weight=0.5)])
    assert (outcomes, state.params.tobytes()) == ({"learnt": 1}, half.tobytes())


def test_a_source_without_a_weight_neither_teaches_nor_decides(online: Online, rows: Array) -> None:
    trusted = [label_at(number, number % 2 == 0) for number in range(20)]
    against = [label_at(number, number % 2 == 1, given_us=1, weight=0.0) for number in range(20)]
    state, outcomes = folded(online, rows, [*trusted, *against])
    alone, _ = folded(online, rows, trusted)
    assert outcomes == {"learnt": 20, "weightless": 20}
    assert state.digest() == alone.digest()


def test_a_model_that_loses_is_frozen_and_the_training_scores() -> None:
    wild = Online.fit(*data(2000), NAMES, {})
    wild.rate = 5.0  # it runs after every label
    x, y = data(3000, 8)
    inputs = columns(x, wild)
    labels = [LabelRecord(100 + i, f"l{i}", f"t{i}", bool(y[i]), 0) for i in range(3000)]
    learner = Learner(wild)
    state = learner.new_state()
    outcomes = learner.fold(state, labels[:2000], inputs[:2000])
    lost_at = state.learned.frozen_at
    assert outcomes == {"learnt": lost_at - 100, "frozen": 2100 - lost_at}
    assert state.learned.contest.difference > 0
    assert learner.weights(state).tobytes() == wild.params.tobytes() != state.params.tobytes()
    again = learner.load_state(state.arrays())
    assert learner.fold(again, labels[2000:], np.ascontiguousarray(inputs[2000:])) == {
        "frozen": 1000
    }
    assert learner.weights(again).tobytes() == wild.params.tobytes()


def test_a_model_that_learns_is_not_frozen(online: Online) -> None:
    x, y = data(3000, 9)
    labels = [LabelRecord(i, f"l{i}", f"t{i}", bool(y[i]), 0) for i in range(3000)]
    learner = Learner(online)
    state = learner.new_state()
    assert learner.fold(state, labels, columns(x, online)) == {"learnt": 3000}


def test_the_contest_is_rarely_lost_by_chance() -> None:
    lost = 0
    for seed in range(40):
        chance, contest = np.random.default_rng(seed), Contest()
        fraud = chance.random(1500) < 0.3
        online, frozen = (
            np.clip(fraud * 0.6 + 0.2 + chance.normal(0, 0.1, 1500), 0, 1) for _ in range(2)
        )
        lost += any(
            contest.judge(float(p), float(q), bool(y))
            for p, q, y in zip(online, frozen, fraud, strict=True)
        )
    assert lost <= 2


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 400))
def test_adwin_keeps_what_does_not_change(seed: int, n: int) -> None:
    values, window = np.random.default_rng(seed).random(n), Adwin()
    for value in values:
        window.add(float(value))
    assert window.width <= n
    if window.width == n:
        assert window.mean == pytest.approx(values.mean(), abs=1e-12)
    copy = window.copy()
    for each in (window, copy):
        each.add(0.5)
    assert all(np.array_equal(one, copy.arrays()[name]) for name, one in window.arrays().items())


def test_adwin_forgets_what_came_before_a_change() -> None:
    chance, window = np.random.default_rng(3), Adwin()
    for value in chance.random(4000) * 0.4:
        window.add(float(value))
    assert window.width == 4000
    for value in 0.5 + chance.random(1000) * 0.4:
        window.add(float(value))
    assert 900 < window.width < 1100
    assert window.mean == pytest.approx(0.7, abs=0.02)
    assert window.bound() < 0.05


def test_a_window_of_another_size_is_refused() -> None:
    with pytest.raises(ConfigError):
        Adwin.load({"adwin_sums": np.zeros(3), "adwin_counts": np.zeros(41)})
