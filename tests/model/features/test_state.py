from __future__ import annotations

from collections.abc import Iterator

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.features.plan import Plan
from model.features.state import KeyedState
from tests.model.features.support import (
    CARD,
    HANDBOOK,
    HOUR_US,
    LABEL_EVERY,
    SEQUENCES,
    Log,
    fold,
    fold_batches,
)
from tidegate.errors import ConfigError
from tidegate.profile import Profile, load_profile
from tidegate.profile.field_types import Time
from tidegate.stream.stage import Arrays

PLANS = [
    pytest.param(Plan(profile, step), id=f"{profile.name}-{step + 1}")
    for profile in (CARD, HANDBOOK, SEQUENCES)
    for step in range(profile.steps)
]
seeds = st.integers(0, 10_000)


def a_day_ahead() -> Profile:
    """Its rings have more slots than a byte can number."""
    profile = load_profile("card")
    (name,) = (name for name, field in profile.fields.items() if isinstance(field, Time))
    profile.fields[name] = msgspec.structs.replace(profile.fields[name], max_ahead=86_400_000_000)
    return profile


PLANS.append(pytest.param(Plan(a_day_ahead(), 0), id="a day ahead"))


def equal(a: KeyedState, b: KeyedState) -> bool:
    """All but the order of their rows, which the digest does not see."""
    return a.digest() == b.digest() and equal_but_rows(a.arrays(), b.arrays())


def equal_but_rows(ours: Arrays, theirs: Arrays) -> bool:
    return all(np.array_equal(ours[name], theirs[name]) for name in ours.keys() - {"rows"})


@pytest.mark.parametrize("plan", PLANS)
@settings(max_examples=20, deadline=None)
@given(seed=seeds, cuts=st.lists(st.integers(1, 399), max_size=8))
def test_batches_do_not_matter(plan: Plan, seed: int, cuts: list[int]) -> None:
    log = Log(plan.profile, seed, 400, late_us=2 * HOUR_US)
    whole, cut = KeyedState(plan), KeyedState(plan)
    a, b = fold_batches(whole, log, []), fold_batches(cut, log, cuts)
    assert a.tobytes() == b.tobytes()
    assert whole.digest() == cut.digest()


@pytest.mark.parametrize("plan", PLANS)
@settings(max_examples=10, deadline=None)
@given(
    seed=seeds,
    late=st.sampled_from([0, 2, 20 * 24, 90 * 24]),
    span=st.sampled_from([1, 80, 4000]),
    scale=st.sampled_from([1.0, -3.0, 1e7]),
)
def test_a_packed_row_is_as_good_as_a_wide_one(
    plan: Plan, seed: int, late: int, span: int, scale: float
) -> None:
    """Packed after each event or never: also when panes go out of reach, and hold large numbers."""
    log = Log(plan.profile, seed, 400, keys=2, span_us=span * HOUR_US, late_us=late * HOUR_US)
    log.values *= scale
    wide, packed = KeyedState(plan), KeyedState(plan)
    a, b = fold_batches(wide, log, []), fold_batches(packed, log, range(1, 400))
    assert a.tobytes() == b.tobytes()
    assert wide.digest() == packed.digest()


@pytest.fixture(scope="module", autouse=True)
def little_room() -> Iterator[None]:
    """Whatever waits is moved and given more room all the time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("model.features.state._WAITING", 2)
        patch.setattr("model.features.rows._ROWS", 1)
        patch.setattr("model.features.rows._SLOTS", 2)
        patch.setattr("model.features.rows._WORDS", 4)
        yield


@pytest.mark.parametrize("plan", PLANS)
@settings(max_examples=20, deadline=None)
@given(seed=seeds, at=st.integers(1, 599), keys=st.sampled_from([3, 700]))
def test_rollback_restores_every_bit(plan: Plan, seed: int, at: int, keys: int) -> None:
    log = Log(plan.profile, seed, 600, keys=keys)
    state, control = KeyedState(plan), KeyedState(plan)
    fold_batches(control, log, [at])
    state.begin()
    fold(state, log, 0, at)
    state.commit()
    before, digest = state.arrays(), state.digest()
    state.begin()
    first = fold(state, log, at, 600)
    state.rollback()
    assert state.digest() == digest
    assert equal_but_rows(before, state.arrays())
    state.begin()
    assert fold(state, log, at, 600).tobytes() == first.tobytes()
    state.commit()
    assert equal(state, control)


@pytest.mark.parametrize("plan", PLANS)
@settings(max_examples=15, deadline=None)
@given(seed=seeds, at=st.integers(1, 399))
def test_snapshot_goes_on_as_if_never_stopped(plan: Plan, seed: int, at: int) -> None:
    log = Log(plan.profile, seed, 400, keys=50)
    state, restored = KeyedState(plan), KeyedState(plan)
    state.begin()
    fold(state, log, 0, at)
    state.commit()
    restored.load(state.arrays())
    assert equal(state, restored)
    for one in (state, restored):
        one.begin()
    assert fold(state, log, at, 400).tobytes() == fold(restored, log, at, 400).tobytes()
    assert state.digest() == restored.digest()


@pytest.mark.parametrize("plan", PLANS)
@settings(max_examples=20, deadline=None)
@given(seed=seeds, at=st.integers(1, 299), change=st.sampled_from(["changed", "added", "removed"]))
def test_what_comes_later_changes_no_earlier_feature(
    plan: Plan, seed: int, at: int, change: str
) -> None:
    one, other = (Log(plan.profile, seed, 300) for _ in range(2))
    if change == "changed":
        other.values[at:] += 1
        other.hashes[at:] = 77
        other.times[at:] -= HOUR_US
        other.frauds[-(-at // LABEL_EVERY) :] ^= 1
        other.matures[at:] += HOUR_US
    else:
        n = 200 if change == "removed" else 900
        longer = Log(plan.profile, seed + 1, n)
        for name in ("times", "hashes", "values", "matures"):
            setattr(other, name, np.concatenate([getattr(one, name)[:at], getattr(longer, name)]))
        labels = at // LABEL_EVERY
        other.labels = np.concatenate([one.labels[:labels], longer.labels])
        other.frauds = np.concatenate([one.frauds[:labels], longer.frauds])
    a, b = fold_batches(KeyedState(plan), one, []), fold_batches(KeyedState(plan), other, [])
    assert a[:at].tobytes() == b[:at].tobytes()


def test_idle_rows_are_as_good_as_new_and_leave() -> None:
    plan = Plan(CARD, 0)
    log = Log(CARD, 3, 40_000, keys=30_000, span_us=400 * 24 * HOUR_US)
    state, control = KeyedState(plan), KeyedState(plan)
    cut = fold_batches(state, log, range(100, 40_000, 100))
    whole = fold_batches(control, log, [])
    assert cut.tobytes() == whole.tobytes()
    assert state.digest() == control.digest()
    assert len(state.rows) < len(control.rows)


def test_misuse_is_an_error() -> None:
    state = KeyedState(Plan(CARD, 0))
    with pytest.raises(RuntimeError, match="without begin"):
        state.rollback()
    state.begin()
    with pytest.raises(RuntimeError, match="neither committed nor rolled back"):
        state.begin()
    with pytest.raises(ConfigError, match="another profile"):
        state.load(KeyedState(Plan(load_profile("wallet"), 0)).arrays())
