"""The side topic as a step follows it: what memory no longer holds is read from the log, and
nothing is read twice.
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.broker.memory.broker import MemoryBroker
from tidegate.broker.records import TopicPartition
from tidegate.errors import Retry
from tidegate.stream import side_topic
from tidegate.stream.side_topic import SideLog


@given(
    sizes=st.lists(st.integers(0, 40), max_size=30),
    hold=st.integers(0, 200),
    ask=st.tuples(st.integers(0, 30), st.integers(0, 30)),
    start=st.integers(0, 30),
)
def test_any_range_is_whole_whatever_memory_holds(
    sizes: list[int], hold: int, ask: tuple[int, int], start: int
) -> None:
    broker = MemoryBroker({"side": 1})
    log = SideLog(broker.consumer(None), TopicPartition("side", 0), hold)
    values = [b"%d:" % at + b"x" * size for at, size in enumerate(sizes)]
    log.follow(min(start, len(values)))
    for value in values:
        broker.append("side", b"k", value, None, None)
        log.poll()
        assert log.held <= hold
    low, high = sorted(min(bound, len(values)) for bound in ask)
    for _ in range(2):
        assert [value for batch in log.read(low, high) for value in batch.values] == values[
            low:high
        ]
    broker.append("side", b"k", b"last", None, None)
    log.poll()
    assert log.end == len(values) + 1


def test_a_reading_that_ends_early_leaves_nothing_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is read again must not come among what is followed."""
    monkeypatch.setattr(side_topic, "_POLL", 3)
    broker = MemoryBroker({"side": 1})
    log = SideLog(broker.consumer(None), TopicPartition("side", 0), hold=20)
    values = [b"%02d" % at for at in range(40)]
    for value in values[:30]:
        broker.append("side", b"k", value, None, None)
    log.follow(0)
    reading = log.read(0, 10)
    next(reading)
    reading.close()
    for value in values[30:]:
        broker.append("side", b"k", value, None, None)
    for _ in range(20):
        log.poll()
        found = [value for batch in log.read(20, log.end) for value in batch.values]
        assert found == values[20 : log.end]
    assert log.end == 40


def test_what_memory_has_not_reached_is_read_from_the_log() -> None:
    """Another member has absorbed more than was followed here."""
    broker = MemoryBroker({"side": 1})
    log = SideLog(broker.consumer(None), TopicPartition("side", 0))
    values = [b"%d" % at for at in range(10)]
    for value in values[:4]:
        broker.append("side", b"k", value, None, None)
    log.follow(0)
    for value in values[4:]:
        broker.append("side", b"k", value, None, None)
    assert [value for batch in log.read(2, 9) for value in batch.values] == values[2:9]
    log.poll()
    assert [value for batch in log.read(0, 10) for value in batch.values] == values


def test_a_topic_that_stops_coming_is_told_again_and_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    broker = MemoryBroker({"side": 1})
    broker.append("side", b"k", b"v", None, None)
    consumer = broker.consumer(None)
    log = SideLog(consumer, TopicPartition("side", 0))
    with monkeypatch.context() as away:
        away.setattr(consumer, "poll", lambda _most, _timeout: [])
        for _ in range(2):
            assert not any(log.follow(0) for _ in range(60))
            with pytest.raises(Retry, match=r"side/0 is read to offset 0 of 1, .* within 6 s"):
                log.follow(0)
    assert log.follow(0)
