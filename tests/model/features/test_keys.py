"""How many keys are kept, and what of a state has changed since it was copied."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.features.keys import alive_of
from model.features.plan import Plan
from model.features.state import KeyedState
from tests.model.features.support import CARD, HANDBOOK, HOUR_US, Log, fold, fold_batches
from tidegate.profile import Profile, load_profile

seeds = st.integers(0, 10_000)
LIMIT = 30


def limited(name: str, limit: int = LIMIT) -> Profile:
    profile = load_profile(name)
    profile.remember = msgspec.structs.replace(profile.remember, keys=limit)
    return profile


PLANS = [
    pytest.param(Plan(profile, step), id=f"{profile.name}-{step + 1}")
    for profile in (limited("card"), limited("handbook"))
    for step in range(profile.steps)
]


@pytest.fixture(scope="module", autouse=True)
def little_room() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("model.features.rows._SLOTS", 2)
        patch.setattr("model.features.rows._WORDS", 4)
        patch.setattr("model.features.rows._FEW", 10)
        yield


def named(keys: list[int]) -> Iterator[int]:
    """The keys, each under another name from when it was forgotten on: where generations are of one
    key, the least recently seen leaves exactly.
    """
    recent: list[int] = []
    names = dict[int, int]()
    for at, key in enumerate(keys):
        if key not in recent:
            names[key] = key if key not in names else 1_000_003 * (at + 1)
        else:
            recent.remove(key)
        recent = [*recent, key][-alive_of(LIMIT) :]
        yield names[key]


@settings(max_examples=20, deadline=None)
@given(seed=seeds, keys=st.sampled_from([10, 27, 35, 90]))
def test_a_key_seen_too_long_ago_is_as_good_as_new(seed: int, keys: int) -> None:
    """As if it were another one from then on."""
    log = Log(CARD, seed, 900, keys=keys)
    other = Log(CARD, seed, 900, keys=keys)
    other.hashes[:, 0] = list(named(log.hashes[:, 0].tolist()))
    state = KeyedState(Plan(limited("card"), 0))
    found = fold_batches(state, log, range(50, 900, 50))
    assert found.tobytes() == fold_batches(KeyedState(Plan(CARD, 0)), other, []).tobytes()
    assert len(state.rows) <= LIMIT + 50
    forgotten = len(np.unique(other.hashes[:, 0])) > len(np.unique(log.hashes[:, 0]))
    assert not forgotten or state.take_evicted() > 0
    assert forgotten == (keys > alive_of(LIMIT))


@pytest.mark.parametrize("plan", PLANS)
@settings(max_examples=10, deadline=None)
@given(
    seed=seeds,
    cuts=st.lists(st.integers(1, 599), max_size=20),
    days=st.sampled_from([3, 400]),
)
def test_who_leaves_depends_on_no_batch_and_no_restart(
    plan: Plan, seed: int, cuts: list[int], days: int
) -> None:
    """Also where keys come again that were idle for a month, and count as alive meanwhile."""
    span_us = days * 24 * HOUR_US
    log = Log(plan.profile, seed, 600, keys=70, span_us=span_us, late_us=2 * HOUR_US)
    whole, cut = KeyedState(plan), KeyedState(plan)
    values = fold_batches(whole, log, [])
    out, start = [], 0
    for end in [*sorted(set(cuts)), 600]:
        restored = KeyedState(plan)
        restored.load(cut.arrays())
        cut = restored
        cut.begin()
        fold(cut, log, start, end)
        cut.rollback()
        cut.begin()
        out.append(fold(cut, log, start, end))
        cut.commit()
        start = end
    assert np.concatenate(out).tobytes() == values.tobytes()
    assert cut.digest() == whole.digest()


@pytest.mark.parametrize("plan", [*PLANS, pytest.param(Plan(HANDBOOK, 1), id="unlimited")])
@settings(max_examples=15, deadline=None)
@given(seed=seeds, keys=st.sampled_from([4, 40, 400]), every=st.integers(5, 150))
def test_a_whole_copy_and_the_changes_since_are_the_state(
    plan: Plan, seed: int, keys: int, every: int
) -> None:
    log, state, restored = Log(plan.profile, seed, 600, keys=keys), KeyedState(plan), None
    for start in range(0, 600, every):
        state.begin()
        fold(state, log, start, min(600, start + every))
        state.commit()
        changes = state.changes()
        if changes is None or restored is None:
            saved, restored = state.arrays(), KeyedState(plan)
            restored.load(saved)
            state.mark(saved, whole=True)
        else:
            restored.apply(changes)
            state.mark(changes, whole=False)
        assert restored.digest() == state.digest()


def test_copies_of_changes_come_to_an_end() -> None:
    log, state = Log(CARD, 3, 3_000, keys=2_000), KeyedState(Plan(CARD, 0))
    fold_batches(state, log, [])
    state.mark(state.arrays(), whole=True)
    copies = 0
    while (changes := state.changes()) is not None:
        state.mark(changes, whole=False)
        copies += 1
    assert copies == 32


def test_keys_that_did_not_change_are_not_in_the_changes() -> None:
    log, plan = Log(CARD, 3, 3_000, keys=2_000), Plan(CARD, 0)
    state = KeyedState(plan)
    fold_batches(state, log, [])
    assert state.changes() is None, "nothing was copied yet"
    saved = state.arrays()
    state.mark(saved, whole=True)
    state.begin()
    fold(state, log, 0, 10)
    state.rollback()
    state.begin()
    fold(state, log, 10, 20)
    state.commit()
    changes = state.changes()
    assert changes is not None
    touched = set(log.hashes[10:20, 0].tolist())
    at, found = 0, set[int]()
    while at < len(changes["rows"]):
        found.add(int(changes["rows"][at]))
        at += int(changes["rows"][at + 3]) & 0xFFFFFFFF
    assert found == touched
    assert "ids_words" not in changes
    assert len(changes["rows"]) < len(saved["rows"]) // 50
