"""Which records of a stage are dead letters, as their headers say."""

from __future__ import annotations

import pytest

from tidegate.broker.memory.broker import MemoryBroker
from tidegate.broker.records import Headers, TopicPartition
from tidegate.pipeline import DLQ, RAW
from tidegate.stream.dead_letters import PREFIX
from tidegate.stream.rejected import Rejected

SOURCE = TopicPartition(RAW, 1)
GOOD = {"stage": b"preprocess", "reason": b"exception", "topic": RAW.encode()}


def headers(**told: bytes) -> Headers:
    return [(PREFIX + name, value) for name, value in (GOOD | told).items()]


def rejected(*letters: Headers) -> set[int]:
    broker = MemoryBroker({DLQ: 2})
    for number, letter in enumerate(letters):
        broker.append(DLQ, b"%d" % number, b"{}", letter, None)
    found = Rejected("preprocess", broker.consumer(None))
    for _ in found.read():
        pass
    return found.of(SOURCE)


def test_those_of_the_stage_are_known_by_place_but_conflicts_are_not() -> None:
    assert rejected(
        headers(partition=b"1", offset=b"7"),
        headers(partition=b"1", offset=b"9", reason=b"conflicting_duplicate"),
        headers(partition=b"1", offset=b"11", stage=b"score"),
        headers(partition=b"0", offset=b"13"),
    ) == {7}


@pytest.mark.parametrize(
    "broken", [{}, {"partition": b"1"}, {"partition": b"one", "offset": b"3"}, {"offset": b"-1"}]
)
def test_a_letter_that_no_stage_wrote_stops_no_restore(broken: dict[str, bytes]) -> None:
    assert rejected(headers(**broken), headers(partition=b"1", offset=b"7")) == {7}
