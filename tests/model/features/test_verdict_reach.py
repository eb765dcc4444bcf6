"""A label that is absorbed too long after it was recorded changes no feature."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from model.features.plan import Plan
from model.features.state import KeyedState
from model.features.verdict_reach import LATE, counts_from_ms, reach_us
from tests.model.features.support import CARD, HANDBOOK, HOUR_US, START_US

DAY_US, AHEAD_US = 24 * HOUR_US, HOUR_US // 12
PLAN = Plan(CARD, 1)

steps = st.lists(
    st.tuples(
        st.sampled_from(["label", "transaction", "transaction"]),
        st.integers(1, 3),
        st.sampled_from([0, HOUR_US, DAY_US, 9 * DAY_US, 31 * DAY_US]),
        st.sampled_from([0, DAY_US, 20 * DAY_US, 44 * DAY_US, 46 * DAY_US, 100 * DAY_US]),
        st.integers(0, 5),
        st.booleans(),
    ),
    min_size=4,
    max_size=50,
)
"""What, of which entity, how much later, how old a label is, its transaction, its verdict."""


def folded(
    drawn: list[tuple[str, int, int, int, int, bool]], late_us: int, reach: int | None
) -> tuple[NDArray[np.float64], int]:
    """The features, and how many labels were passed over.

    No row is forgotten by ingest time, which a late label postpones (see `verdict_reach`).
    """
    state, now, rows, skipped = KeyedState(PLAN, evicts=False), START_US, [], 0
    events: dict[int, int] = {}
    for number, (kind, entity, step, age, transaction, fraud) in enumerate(drawn):
        now += step
        key = np.array([entity * 0x9E3779B97F4A7C1], np.int64)
        state.begin()
        if kind == "transaction":
            values = np.full((1, len(CARD.values)), 2.5)
            hashes = np.repeat(key[:, None], len(CARD.hashed), axis=1)
            state.fold(key, hashes, np.array([now - late_us]), np.array([now]), values)
            rows.append(values[0])
        else:
            event = events.setdefault(transaction, now - age + AHEAD_US)
            recorded = max(now - age, event - AHEAD_US)
            if recorded // 1000 < counts_from_ms(reach, state.clock_us):
                skipped += 1
            else:
                verdict = np.array([[transaction + 1, 7, number, number, 1 + fraud]], np.int64)
                matures = np.array([event + CARD.label_delay_us])
                state.absorb(verdict, key, matures, np.empty((1, 0)))
        state.commit()
    return np.array(rows), skipped


@pytest.mark.parametrize("late_us", [-AHEAD_US, 0, HOUR_US, LATE])
@settings(max_examples=150, deadline=None)
@given(drawn=steps)
def test_what_is_passed_over_would_have_changed_no_feature(
    late_us: int, drawn: list[tuple[str, int, int, int, int, bool]]
) -> None:
    everything, none = folded(drawn, late_us, None)
    some, _ = folded(drawn, late_us, reach_us(PLAN))
    assert none == 0
    assert some.tobytes() == everything.tobytes()


def test_labels_are_passed_over_and_others_count() -> None:
    """Or the test above would compare a fold with itself."""
    day = ("transaction", 1, DAY_US, 0, 0, False)
    old = ("label", 1, 0, 100 * DAY_US, 1, True)
    fresh = ("label", 1, 0, 6 * DAY_US, 2, True)
    without, _ = folded([day, day, day], 0, reach_us(PLAN))
    with_old, skipped = folded([day, old, day, day], 0, reach_us(PLAN))
    assert (skipped, with_old.tobytes()) == (1, without.tobytes())
    with_fresh, skipped = folded([day, fresh, day, day], 0, reach_us(PLAN))
    assert (skipped, with_fresh.tobytes() == without.tobytes()) == (0, False)


def test_the_reach_is_as_long_as_the_card_profiles_raw_topic_is_kept() -> None:
    assert reach_us(PLAN) == 7 * DAY_US + 7 * DAY_US + AHEAD_US + PLAN.program.horizon_us
    assert reach_us(Plan(HANDBOOK, 1)) is None, "no time ends a run of verdicts"
