"""One account's features are those of its own events, whatever the other accounts' times are."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from model.features.holdings import count as keys_of
from model.features.plan import Plan
from model.features.state import KeyedState
from model.history.fold import fold_columns
from tests.model.features.support import CARD, HANDBOOK, HOUR_US, SEQUENCES, START_US
from tidegate.profile import Profile

MINUTE_US, DAY_US = HOUR_US // 60, 24 * HOUR_US
COUNT = CARD.values.index("user_count_1h")
PLANS = [
    pytest.param(Plan(profile, step), id=f"{profile.name}-{step + 1}")
    for profile in (CARD, HANDBOOK, SEQUENCES)
    for step in range(profile.steps)
]
events = st.lists(
    st.tuples(
        st.integers(1, 4),
        st.sampled_from([-400 * DAY_US, -35 * DAY_US, -DAY_US, -HOUR_US, 0, 5 * MINUTE_US]),
        st.integers(0, DAY_US),
        st.integers(0, 100),
    ),
    min_size=2,
    max_size=60,
)
"""Account, how far its event time is from the ingest time, that time's step, a number."""


def table(
    profile: Profile, drawn: list[tuple[int, int, int, int]], stretch: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Keys, event times, ingest times and values."""
    accounts, offsets, steps, numbers = np.array(drawn, np.int64).T
    ingested = START_US + np.cumsum(steps) * stretch
    values = np.repeat(numbers[:, None] + 0.5, len(profile.values), axis=1)
    return accounts * 0x9E3779B97F4A7C1, ingested + offsets, ingested, values


def folded(
    plan: Plan,
    keys: NDArray[np.int64],
    times: NDArray[np.int64],
    ingested: NDArray[np.int64],
    values: NDArray[np.float64],
) -> NDArray[np.float64]:
    state, out = KeyedState(plan), values.copy()
    hashes = np.repeat(keys[:, None], len(plan.profile.hashed), axis=1)
    for start in range(0, len(keys), 7):
        rows = slice(start, start + 7)
        state.begin()
        state.fold(keys[rows], hashes[rows], times[rows], ingested[rows], out[rows])
        state.commit()
    return out


@pytest.mark.parametrize("plan", PLANS)
@settings(max_examples=60, deadline=None)
@given(drawn=events, stretch=st.sampled_from([1, 3, 40]))
def test_the_features_of_an_account_are_those_of_its_own_events(
    plan: Plan, drawn: list[tuple[int, int, int, int]], stretch: int
) -> None:
    keys, times, ingested, values = table(plan.profile, drawn, stretch)
    together = folded(plan, keys, times, ingested, values)
    for key in np.unique(keys):
        own = np.flatnonzero(keys == key)
        alone = folded(plan, keys[own], times[own], ingested[own], values[own])
        assert together[own].tobytes() == alone.tobytes()


@settings(max_examples=60, deadline=None)
@given(drawn=events)
def test_a_history_with_wild_times_gives_each_account_its_own(
    drawn: list[tuple[int, int, int, int]],
) -> None:
    keys, times, _, values = table(CARD, drawn, 1)
    hashes = np.repeat(keys.view(np.uint64)[:, None], len(CARD.hashed), axis=1)
    together = fold_columns(CARD, times, hashes, values.copy())
    for key in np.unique(keys):
        own = np.flatnonzero(keys == key)
        alone = fold_columns(CARD, times[own], hashes[own], values[own])
        assert together[own].tobytes() == alone.tobytes()


def test_a_payment_of_today_leaves_the_file_of_last_quarter_alone() -> None:
    today = START_US + 100 * DAY_US
    keys = np.array([1, *[2, 3] * 4], np.int64)
    times = np.array([today, *(START_US + 20 * DAY_US + i * MINUTE_US for i in range(8))])
    out = folded(Plan(CARD, 0), keys, times, np.full(9, today), np.ones((9, len(CARD.values))))
    assert out[1:, COUNT].tolist() == [1, 1, 2, 2, 3, 3, 4, 4]


@pytest.mark.parametrize("late", [0, 2 * HOUR_US, 40 * DAY_US])
def test_a_payment_always_counts_for_itself(late: int) -> None:
    """Behind what is newest by more than its rings hold, too."""
    plan, names = Plan(CARD, 0), CARD.values.index
    times = np.array([START_US, START_US - late])
    values = np.full((2, len(CARD.values)), 12.5)
    out = folded(plan, np.array([7, 7]), times, np.full(2, START_US), values)[1]
    for name in ("user_count_1h", "user_count_1d"):
        assert out[names(name)] == (1 if late else 2), name
    assert out[names("user_merchants_1d")] == 1
    assert out[names("user_sum_1h")] == 12.5 * out[COUNT]


def test_a_burst_counts_after_payments_ahead_of_it_by_all_that_is_allowed() -> None:
    ahead = 5 * MINUTE_US
    times = np.array(
        [*(START_US + ahead - i for i in range(13)), *(START_US + i for i in range(50))]
    )
    keys, values = np.full(63, 7), np.full((63, len(CARD.values)), 900.0)
    out = folded(Plan(CARD, 0), keys, times, np.full(63, START_US), values)
    assert out[-1, COUNT] == 50


def test_a_clock_that_runs_ahead_ripens_no_verdict_early() -> None:
    """Ripe is what matured by min(event time, ingest time): the record is minutes ahead of its."""
    plan, state = Plan(CARD, 1), KeyedState(Plan(CARD, 1))
    verdicts, values = np.array([[1, 1, 1, 1, 2]]), np.ones((1, len(CARD.values)))
    state.begin()
    state.absorb(verdicts, np.array([7]), np.array([START_US + MINUTE_US]), np.ones((1, 0)))
    for ingested, waits in ((START_US, 1), (START_US + MINUTE_US, 0)):
        time = np.array([START_US + 5 * MINUTE_US])
        hashes = np.full((1, len(CARD.hashed)), 8)
        state.fold(np.array([8]), hashes, time, np.array([ingested]), values)
        assert len(state.arrays()["waiting"]) == waits
    assert plan.keeps_verdicts


def test_rows_idle_by_ingest_time_leave_whatever_their_event_times_say() -> None:
    """Also when all come with event times of years ago, as a file does."""
    plan = Plan(CARD, 0)
    n, state = 20_000, KeyedState(plan)
    keys = np.arange(1, n + 1, dtype=np.int64) * 0x9E3779B97F4A7C1
    ingested = START_US + np.arange(n) * (400 * DAY_US // n)
    values, hashes = np.ones((n, len(CARD.values))), np.ones((n, len(CARD.hashed)), np.int64)
    for start in range(0, n, 100):
        rows = slice(start, start + 100)
        state.begin()
        state.fold(keys[rows], hashes[rows], np.full(100, START_US), ingested[rows], values[rows])
        state.commit()
    assert len(state.rows) <= 8192
    assert keys_of(state.arrays()["rows"]) == np.count_nonzero(
        ingested >= ingested[-1] - plan.program.horizon_us
    )


def test_keys_with_few_events_take_little_room() -> None:
    """A key that pays a few times a month takes a third of its wide row at most."""
    plan, n = Plan(CARD, 0), 5_000
    state = KeyedState(plan)
    keys = np.arange(1, n + 1, dtype=np.int64) * 0x9E3779B97F4A7C1
    chance = np.random.default_rng(5)
    values, hashes = chance.random((n, len(CARD.values))) * 90, np.ones((n, len(CARD.hashed)), int)
    for day in range(5):
        times = START_US + 6 * day * DAY_US + chance.integers(0, DAY_US, n)
        hashes[:] = chance.integers(1, 9, hashes.shape)
        ingested = np.sort(times)
        for start in range(0, n, 100):
            rows = slice(start, start + 100)
            state.begin()
            state.fold(keys[rows], hashes[rows], times[rows], ingested[rows], values[rows])
            state.commit()
    assert len(state.rows) == n
    assert 3 * state.rows.words < n * plan.width
