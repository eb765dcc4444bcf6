"""A member that its group has forgotten ends its process; one without partitions does not."""

from __future__ import annotations

import pytest

from tests.stream.crash import Clock, Inline
from tests.stream.running import TOPICS, member
from tests.stream.toy import CopyStage
from tidegate.broker.memory.broker import MemoryBroker
from tidegate.broker.ports import Consumer
from tidegate.errors import Broken, Retry
from tidegate.pipeline import group_of
from tidegate.stream.runner import Runner


class Group:
    """A runner and, beside it, a member of its group that polls when it is told to."""

    def __init__(self) -> None:
        self.broker, self.clock = MemoryBroker(TOPICS), Clock(step=0)
        self.other = self.join()
        consumer, sink = member(CopyStage(), self.broker, self.clock)
        self.run = Runner(
            CopyStage(),
            self.broker,
            consumer,
            sink,
            snapshots=None,
            clock=self.clock,
            monotonic=self.clock,
            executor=Inline(),
        )

    def join(self) -> Consumer:
        other = self.broker.consumer(group_of(CopyStage.name))
        other.subscribe("in", lambda _: {}, lambda _: None)
        other.poll(1, 0)
        return other

    def turn(self, seconds: int, *, other: bool = False) -> None:
        for _ in range(seconds):
            self.clock.now += 1_000_000
            self.run.run_once()
            if other:
                self.other.poll(1, 0)


@pytest.fixture
def group() -> Group:
    return Group()


def test_a_member_that_is_never_assigned_anything_ends(group: Group) -> None:
    group.turn(59)
    with pytest.raises(Broken, match="has assigned it nothing for 60 s"):
        group.turn(2)


def test_a_member_that_loses_its_assignment_for_good_ends(group: Group) -> None:
    group.other.close()
    group.turn(100)
    assert group.run.progress.partitions == [0]
    group.other = group.join()
    group.turn(2)
    assert group.run.progress.partitions == [0]
    third = group.join()  # which the other one never takes note of
    group.turn(59)
    assert group.run.progress.partitions == []
    with pytest.raises(Broken):
        group.turn(3)
    third.close()


def test_more_members_than_partitions_is_no_fault(group: Group) -> None:
    group.turn(200, other=True)
    assert group.run.progress.partitions == []
    group.other.close()
    group.turn(5)
    assert group.run.progress.partitions == [0]


def test_while_the_broker_is_away_nothing_ends(
    group: Group, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(_topic: str) -> list[object]:
        raise Retry("away")

    monkeypatch.setattr(group.run._consumer, "partitions", away)
    group.turn(200)
    monkeypatch.undo()
    with pytest.raises(Broken):
        group.turn(61)
