"""An offset that the log does not have is a loss that somebody has to accept, never a new start."""

from __future__ import annotations

from typing import Any

import pytest
from prometheus_client import REGISTRY

from tests.stream.crash import Clock, Inline
from tests.stream.running import TOPICS, member, outputs, send, until_idle
from tests.stream.toy import CopyStage, Counters, CountStage
from tidegate.broker.memory.broker import MemoryBroker
from tidegate.broker.records import Batch, TopicPartition
from tidegate.errors import Aborted, Stop
from tidegate.messages.documents import AcceptedLoss, encode
from tidegate.messages.heartbeats import Held
from tidegate.stream.partition import Partition
from tidegate.stream.progress import Monitor
from tidegate.stream.pulse import Pulse
from tidegate.stream.runner import Runner
from tidegate.stream.skips import Skips
from tidegate.stream.snapshot import Snapshots
from tidegate.stream.stage import Stage

SOURCE = TopicPartition("in", 0)
ID = "id-of-in"


class System:
    """A stage of one partition that has processed `before` records, and orders for it."""

    def __init__(self, stage: Stage[Any], url: str, before: int) -> None:
        self.broker, self.stage, self.url = MemoryBroker(TOPICS), stage, url
        self.clock = Clock(step=100_000)
        self.run = self.start()
        until_idle(self.run)
        self.sent = 0
        self.send(before)
        until_idle(self.run)

    def start(self) -> Runner:
        self.orders = Skips(self.stage.name, "in", ID)
        return Runner(
            self.stage,
            self.broker,
            *member(self.stage, self.broker, self.clock),
            snapshots=Snapshots(self.url),
            clock=self.clock,
            monotonic=self.clock,
            snapshot_every=3,
            side_every=0,
            executor=Inline(),
            skips=self.orders,
        )

    def send(self, count: int) -> None:
        send(self.broker, *(b"1:%d" % at for at in range(self.sent, self.sent + count)))
        self.sent += count

    def restart(self) -> None:
        self.run.close()
        self.run = self.start()

    def accept(self, offset: int, until: int, topic_id: str = ID) -> None:
        order = AcceptedLoss(
            self.stage.name, 0, topic_id, offset, until, abs(until - offset), "somebody", 1
        )
        batch = Batch(TopicPartition("control", 0), [0], [None], [encode(order)], [0], [None])
        self.orders.absorb(batch)

    def metric(self, name: str) -> float | None:
        return REGISTRY.get_sample_value(name, {"stage": self.stage.name, "partition": "0"})


@pytest.fixture(params=[CountStage, CopyStage])
def system(request: pytest.FixtureRequest, tmp_path: object) -> System:
    return System(request.param(), f"file://{tmp_path}", before=20)


@pytest.mark.parametrize("restarted", [False, True])
def test_records_that_expire_unread_hold_the_partition(
    system: System, restarted: bool, caplog: pytest.LogCaptureFixture
) -> None:
    if restarted:
        system.run.close()
    system.send(200)
    system.broker.expire(SOURCE, 220)
    if restarted:
        system.run = system.start()
    assert until_idle(system.run) == 0
    assert system.run.progress.held == [Held(0, 20, 220, [], 200)]
    assert system.metric("tidegate_held_partitions") == 1
    assert system.metric("tidegate_lost_records") == 200
    assert "200 records of in/0 are lost between offset 20 and 220" in caplog.text
    system.send(5)
    assert until_idle(system.run) == 0, "what comes behind the loss waits"
    system.accept(20, 220, "another id")
    system.accept(20, 150)
    assert until_idle(system.run) == 0, "another topic's loss, or a smaller one, was accepted"
    system.accept(20, 220)
    assert until_idle(system.run) == 5
    assert system.run.progress.held == []
    assert system.metric("tidegate_lost_records") == 0
    assert "accepted by somebody" in caplog.text
    assert len(outputs(system.broker)) == 25
    system.restart()
    assert until_idle(system.run) == 0
    assert system.run.progress.held == []


def test_what_expires_before_the_first_record_was_read_is_noticed(tmp_path: object) -> None:
    """A stage is assigned an empty partition, stops, and finds it emptied."""
    system = System(CountStage(), f"file://{tmp_path}", before=0)
    system.run.close()
    system.send(7)
    system.broker.expire(SOURCE, 7)
    system.run = system.start()
    until_idle(system.run)
    assert system.run.progress.held == [Held(0, 0, 7, [], 7)]


def test_a_first_start_begins_where_the_log_begins() -> None:
    broker = MemoryBroker(TOPICS)
    send(broker, *(b"1:%d" % at for at in range(9)))
    broker.expire(SOURCE, 4)
    stage, clock = CountStage(), Clock()
    run = Runner(stage, broker, *member(stage, broker, clock), snapshots=None, clock=clock)
    assert until_idle(run) == 5
    assert run.progress.held == []


@pytest.mark.parametrize("new", [0, 3])
def test_a_log_that_ends_before_the_position_holds_the_partition(system: System, new: int) -> None:
    """Cut short, or made anew with fewer records."""
    system.run.close()
    system.broker.cut(SOURCE, 0)
    system.send(new)
    system.run = system.start()
    assert until_idle(system.run) == 0
    assert system.run.progress.held == [Held(0, 20, 0, [], 20 - new)]
    system.accept(20, 0)
    assert until_idle(system.run) == new
    assert system.run.progress.held == []
    system.send(40)
    until_idle(system.run)
    if isinstance(system.stage, CountStage):
        expected = Counters()
        for at in range(20, system.sent):
            expected.add(1, at)
        digests = [system.run.digests()[SOURCE]]
        system.restart()
        until_idle(system.run)
        digests.append(system.run.digests()[SOURCE])
        assert digests == [expected.digest()] * 2, "a fold of the new log, and nothing of the old"


def test_a_held_loss_goes_when_the_log_has_the_offset_after_all(system: System) -> None:
    """A broker that has just taken over may not know its end yet."""
    system.run.close()
    records = system.broker.logs[SOURCE]
    kept = list(records)
    system.broker.cut(SOURCE, 10)
    system.run = system.start()
    until_idle(system.run)
    assert [held.lost for held in system.run.progress.held] == [10]
    records[:] = kept
    system.send(1)
    system.clock.now += 5_000_000
    assert until_idle(system.run) == 1
    assert system.run.progress.held == []


def test_a_state_whose_log_is_gone_says_how_much_it_lacks(
    tmp_path: object, caplog: pytest.LogCaptureFixture
) -> None:
    system = System(CountStage(), f"file://{tmp_path}", before=20)
    system.broker.expire(SOURCE, 15)
    system.url = f"file://{tmp_path}/empty"
    system.restart()
    until_idle(system.run)
    assert system.run.progress.held == []
    assert system.metric("tidegate_unfolded_records") == 15
    assert "15 records of in/0 are not in its state" in caplog.text
    failed: list[str] = []

    def fail_once(name: str, done: bool) -> None:
        if name == "produce" and not failed and not done:
            failed.append(name)
            raise Aborted("once more, please")

    system.broker.hook = fail_once
    system.send(1)
    until_idle(system.run)
    assert (failed, len(outputs(system.broker))) == (["produce"], 21)
    assert system.metric("tidegate_unfolded_records") == 15, "a rewind brings no records back"
    system.broker.expire_members()
    until_idle(system.run)
    assert system.metric("tidegate_unfolded_records") == 15, "nor does a rebalance"
    system.url = f"file://{tmp_path}"
    system.restart()
    until_idle(system.run)
    assert system.metric("tidegate_unfolded_records") == 0


def test_what_a_state_lacks_is_told_by_who_serves_it() -> None:
    clock = Clock(step=2_000_000)
    monitor = Monitor("toy", MemoryBroker(TOPICS).consumer(None), clock, Pulse())
    lacking = Partition(SOURCE, Counters(), 20, unfolded=15).parked()
    for partitions, told in (([lacking], 15), ([], None)):
        monitor.measure(partitions, holds={}, ready=True, restoring=[], side_end=None)
        labels = {"stage": "toy", "partition": "0"}
        assert REGISTRY.get_sample_value("tidegate_unfolded_records", labels) == told


@pytest.mark.parametrize("rebalanced", [False, True])
def test_a_topic_made_anew_under_a_running_stage_stops_it(system: System, rebalanced: bool) -> None:
    """Kafka forgets a group's positions together with the topic."""
    system.broker.cut(SOURCE, 0)
    for group in system.broker.groups.values():
        group.positions.clear()
    if rebalanced:
        system.broker.expire_members()
    with pytest.raises(Stop, match="in/0 has no position any more, it was 20: was the topic made"):
        until_idle(system.run)
    system.send(3)
    system.restart()
    assert until_idle(system.run) == 3
