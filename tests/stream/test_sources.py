from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tidegate.stream.sources import Sources

Record = tuple[int, int]
records = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 30)), max_size=60)


def repeats(sources: Sources, part: list[Record]) -> list[bool]:
    partitions, offsets = np.array(part, np.int64).reshape(-1, 2).T
    return sources.repeats(partitions, offsets, np.full(len(part), 5)).tolist()


@given(log=records, cut=st.integers(0, 60))
def test_what_is_not_above_all_before_it_has_come_before(log: list[Record], cut: int) -> None:
    sources = Sources()
    found = [*repeats(sources, log[:cut]), *repeats(sources, log[cut:])]
    highest: dict[int, int] = {}
    for (partition, offset), again in zip(log, found, strict=True):
        assert again == (offset <= highest.get(partition, -1))
        highest[partition] = max(offset, highest.get(partition, -1))
    restored = Sources()
    restored.restore(sources.note())
    assert np.array_equal(restored.array(), sources.array())


def test_a_rollback_forgets_what_was_seen() -> None:
    sources = Sources()
    sources.begin()
    assert repeats(sources, [(0, 4)]) == [False]
    sources.commit()
    sources.begin()
    assert repeats(sources, [(0, 5), (1, 1)]) == [False, False]
    sources.rollback()
    assert sources.array().tolist() == [[0, 4, 5]]
    assert repeats(sources, [(0, 4), (0, 5)]) == [True, False]


def test_offsets_that_begin_again_at_a_later_time_are_another_log() -> None:
    sources = Sources()
    at, late = np.array([0, 0]), np.array([7, 8])
    assert not sources.repeats(at, np.array([10, 11]), late).any()
    assert sources.repeats(at, np.array([10, 11]), late).all()
    assert not sources.repeats(at, np.array([0, 1]), late + 9).any()
    assert sources.repeats(at, np.array([1, 2]), late + 9).tolist() == [True, False]


def test_a_note_of_too_many_partitions_is_none() -> None:
    sources = Sources()
    many = np.arange(400)
    sources.repeats(many, many + 10**9, many + 10**15)
    assert sources.note() == ""
    sources.restore("")
    assert not len(sources.array())
    sources.restore("waiting:1:abc")
    assert not len(sources.array())
