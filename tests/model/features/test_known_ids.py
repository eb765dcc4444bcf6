"""The memory of ids beside a plain dict, which forgets nothing."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from model.features.id_tables import BODY_BITS, ID_BITS, NEW, OTHER, SAME
from model.features.known_ids import IdMemory
from tidegate.profile.spec import DAY, Duration, Remember, Size

MEGABYTE = Remember(memory=Size(1 << 20))
HOUR_US = DAY // 24
START_US = 1_700_000_000_000_000
Words = NDArray[np.uint64]


def made(numbers: NDArray[np.int64], body: int = 1) -> Words:
    """u8[n, 2]: ids as well mixed as hashes are, and a body each."""
    spread = (numbers.astype(np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    spread = (spread ^ (spread >> np.uint64(29))) * np.uint64(0xBF58476D1CE4E5B9)
    return np.stack([spread, np.full(len(numbers), body, np.uint64) << np.uint64(50)], axis=1)


def at(n: int, time_us: int) -> NDArray[np.int64]:
    return np.full(n, START_US + time_us, np.int64)


def equal(one: IdMemory, other: IdMemory) -> bool:
    ours, theirs = one.arrays(), other.arrays()
    return all(np.array_equal(ours[name], theirs[name]) for name in ours)


def fold(memory: IdMemory, ids: Words, times: NDArray[np.int64], cuts: list[int]) -> list[int]:
    """What comes of each, in batches that end at `cuts`."""
    known: list[int] = []
    for start, stop in zip([0, *cuts], [*cuts, len(ids)], strict=True):
        memory.begin()
        known += memory.remember(ids[start:stop], times[start:stop]).tolist()
    return known


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    hours=st.integers(1, 80),
    cuts=st.lists(st.integers(1, 1999), max_size=5),
    at_most=st.integers(1, 1999),
)
def test_within_the_time_it_knows_what_a_dict_knows(
    seed: int, hours: int, cuts: list[int], at_most: int
) -> None:
    chance = np.random.default_rng(seed)
    numbers = chance.integers(0, 700, 2000)
    ids = made(numbers)
    ids[:, 1] = chance.integers(1, 3, 2000).astype(np.uint64) << np.uint64(50)
    times = START_US + np.sort(chance.integers(0, hours * HOUR_US, 2000))
    memory = IdMemory(MEGABYTE)
    known = fold(memory, ids, times, sorted({*cuts, at_most}))
    first: dict[int, tuple[int, int]] = {}
    for number, body, time, found in zip(
        numbers.tolist(), ids[:, 1].tolist(), times.tolist(), known, strict=True
    ):
        before = first.get(number)
        if before is None or (found == NEW and time - before[1] > DAY):
            assert found == NEW
            first[number] = body, time
        else:
            assert found == (SAME if body == before[0] else OTHER)
    whole = IdMemory(MEGABYTE)
    assert fold(whole, ids, times, []) == known, "how the log is cut into batches changes nothing"
    assert equal(whole, memory)


@pytest.mark.parametrize("count", [5_000, 40_000, 150_000])
def test_a_rollback_and_a_snapshot_change_no_bit(count: int) -> None:
    """With 5,000 the open table grows, with more it is closed, and the oldest go early."""
    memory = IdMemory(MEGABYTE)
    ids = made(np.arange(count + 60_000))
    times = START_US + np.arange(len(ids)) * 1000
    fold(memory, ids[:count], times[:count], [])
    loaded = IdMemory(MEGABYTE)
    loaded.load(memory.arrays())
    assert equal(memory, loaded)
    memory.begin()
    memory.remember(ids[count:], times[count:])
    assert not equal(memory, loaded)
    memory.rollback()
    assert equal(memory, loaded)
    for one in (memory, loaded):
        assert (one.remember(ids[count:], times[count:]) == NEW).all()
    assert equal(memory, loaded)


def test_ids_are_forgotten_by_time() -> None:
    memory = IdMemory(MEGABYTE)
    ids = made(np.arange(1000))
    assert (memory.remember(ids, at(1000, 0)) == NEW).all()
    assert (memory.remember(ids, at(1000, DAY)) == SAME).all()
    others = made(np.arange(1000), body=2)
    assert (memory.remember(others, at(1000, DAY)) == OTHER).all()
    later = DAY + DAY // 4
    assert (memory.remember(others, at(1000, later)) == NEW).all(), "what is older has gone"
    assert memory.reach_us >= DAY


def test_when_memory_ends_the_oldest_go_and_it_says_how_far_it_reaches() -> None:
    """1 MB holds 106,496 closed ids: ten a second are half of a day."""
    memory = IdMemory(MEGABYTE)
    ids = made(np.arange(400_000))
    times = START_US + np.arange(400_000) * 100_000
    for start in range(0, 400_000, 10_000):
        memory.begin()
        memory.remember(ids[start : start + 10_000], times[start : start + 10_000])
    reach = memory.reach_us
    assert 2 * HOUR_US < reach < 4 * HOUR_US
    assert len(memory) * 8 < MEGABYTE.memory
    back = np.flatnonzero(times > times[-1] - reach)
    now = np.full(len(back), times[-1])
    assert (memory.remember(ids[back], now) == SAME).all(), "what it says that it knows, it knows"
    assert memory.remember(ids[:1000], now[:1000])[0] == NEW


def test_the_bytes_of_an_id_and_how_seldom_two_are_taken_for_one() -> None:
    """What guarantees.md states: 64 MB hold 6.8 million ids, 9.8 bytes each."""
    memory = IdMemory(Remember())
    assert 6_800_000 < memory._most_closed < 6_900_000
    assert memory.limits.memory / memory._most_closed < 9.9
    bucket = memory._most_closed / 2**memory._bits
    assert bucket / 2**ID_BITS < 1.2e-11
    assert 2.0**-BODY_BITS < 1e-6


@pytest.mark.parametrize(("time", "memory"), [("1h", "1MB"), ("7d", "1024MB")])
def test_settings_of_a_profile(time: str, memory: str) -> None:
    limits = Remember(time=Duration.parse(time), memory=Size.parse(memory))
    known = IdMemory(limits)
    ids = made(np.arange(100))
    assert (known.remember(ids, at(100, 0)) == NEW).all()
    assert (known.remember(ids, at(100, int(limits.time))) == SAME).all()


@pytest.mark.parametrize("text", ["0MB", "64", "1025MB", "64GB", 64])
def test_a_size_that_is_none(text: object) -> None:
    with pytest.raises(ValueError, match="64MB"):
        Size.parse(text)
