"""The time of a log's records goes on while none comes, whatever the process's own clock says."""

from __future__ import annotations

from tests.stream.crash import Clock
from tidegate.broker.records import Batch, TopicPartition
from tidegate.stream.log_time import LogTime

SECOND_US = 1_000_000


def batch(*stamped_ms: int) -> Batch:
    n = len(stamped_ms)
    source = TopicPartition("in", 0)
    return Batch(source, list(range(n)), [b""] * n, [b""] * n, list(stamped_ms), [None] * n)


def test_it_is_the_newest_timestamp_and_what_has_passed_since() -> None:
    clock = Clock(step=0)
    time = LogTime(clock)
    assert time(batch()) == 0
    assert time(batch(5000, 7000, 6000)) == 7 * SECOND_US
    clock.now += 30 * SECOND_US
    assert time(batch(5000)) == 37 * SECOND_US  # one that waits is looked at again
    clock.now += SECOND_US
    assert time(batch(90_000)) == 90 * SECOND_US
    assert time(batch(-1)) == 90 * SECOND_US


def test_no_record_lies_ahead_of_it() -> None:
    clock = Clock(step=0)
    time = LogTime(clock)
    for stamped_ms in (10, 1 << 50, 20):
        assert time(batch(stamped_ms)) >= stamped_ms * 1000
