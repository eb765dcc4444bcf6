"""Restoring in slices: the group is polled meanwhile, and nothing is done twice."""

from __future__ import annotations

import logging

import numpy as np
import pytest
from prometheus_client import REGISTRY

from tests.stream.crash import Clock, Inline
from tests.stream.running import TOPICS, outputs, runner, send_with, until_idle
from tests.stream.toy import Counters, CountStage
from tidegate.broker.memory.broker import MemoryBroker
from tidegate.broker.memory.consumer import MemoryConsumer
from tidegate.broker.records import Batch, TopicPartition
from tidegate.errors import Retry
from tidegate.messages.heartbeats import Restoring
from tidegate.pipeline import group_of
from tidegate.stream.positions import Positions
from tidegate.stream.runner import Runner
from tidegate.stream.sink import KafkaSink
from tidegate.stream.snapshot import Snapshots
from tidegate.stream.stage import Output

KEYS = (b"d", b"a")
"""Keys of partitions 1 and 0 of two."""
LONG, SHORT = 600, 40


class Slow(CountStage):
    """Each batch takes 50 ms of the clock; keeps how many records it folded."""

    def __init__(self, clock: Clock) -> None:
        self._clock, self.folded = clock, 0

    def process(self, state: Counters, batch: Batch) -> Output:
        self._clock.now += 50_000
        self.folded += len(batch)
        return super().process(state, batch)


class Restart:
    """A log that was folded to its end, and a process that starts without snapshots."""

    def __init__(self, url: str = "") -> None:
        self.broker = MemoryBroker({**TOPICS, "in": 2})
        for key, count in zip(KEYS, (LONG, SHORT), strict=True):
            send_with(self.broker, key, *(b"1:%d" % at for at in range(count)))
        self.broker.append("side", b"k", b"7", None, None)
        before = self.start("")
        while len(outputs(self.broker)) < LONG + SHORT:
            before.run_once()
        self.digests = before.digests()
        self.written = len(outputs(self.broker))
        before.close()
        self.clock = Clock(0)
        self.stage = Slow(self.clock)
        self.run = self.start(url)

    def start(self, url: str, instance: str = "0", *, snapshot_every: int = 100) -> Runner:
        clock = getattr(self, "clock", Clock())
        stage = getattr(self, "stage", CountStage())
        return Runner(
            stage,
            self.broker,
            consumer := self.broker.consumer(group_of(stage.name)),
            KafkaSink(
                self.broker, consumer, "toy", instance=instance, profile=b"0123abcd", clock=clock
            ),
            snapshots=Snapshots(url) if url else None,
            clock=clock,
            monotonic=clock,
            batch=10,
            snapshot_every=snapshot_every,
            side_every=0,
            executor=Inline(),
        )

    def source(self, records: int) -> TopicPartition:
        """The partition with so many."""
        [source] = [s for s, log in self.broker.logs.items() if len(log) == records]
        return source

    def finish(self) -> int:
        """Turns until all is restored."""
        for turn in range(1, 200):
            self.run.run_once()
            if self.run.progress.restored:
                return turn
        raise AssertionError("it does not come to an end")


def test_the_group_is_polled_between_slices_of_a_quarter_of_a_second() -> None:
    case = Restart()
    polls = []
    case.broker.hook = lambda name, done: polls.append((name, case.clock.now, done))
    case.finish()
    assert case.run.digests() == case.digests
    assert len(outputs(case.broker)) == case.written
    assert case.stage.folded == LONG + SHORT
    times = [at for name, at, done in polls if name == "poll" and done]
    waited = np.diff(times)
    assert waited.max() <= 300_000, "a slice, and the batch that it ends with"
    assert times[-1] - times[0] > 3_000_000, "all of it takes longer than that"


def test_what_is_restored_is_served_while_another_catches_up() -> None:
    case = Restart()
    while case.stage.folded < LONG // 2:
        case.run.run_once()
    case.clock.now += 1_000_000
    case.run.run_once()
    short, long = case.source(SHORT), case.source(LONG)
    assert not case.run.progress.restored
    assert list(case.run.digests()) == [short]
    [told] = case.run.progress.restoring
    assert isinstance(told, Restoring)
    assert told.partition == long.partition
    assert told.left + case.stage.folded - SHORT == LONG
    assert 0.005 * told.left < told.seconds < 0.01 * told.left, "5 ms a record, and the wait"
    assert str(told).startswith(f"restoring partition {long.partition}: ")
    labels = {"stage": "toy", "partition": str(long.partition)}
    assert REGISTRY.get_sample_value("tidegate_restore_records", labels) == told.left
    send_with(case.broker, KEYS[1], b"2:1")
    case.run.run_once()
    assert len(outputs(case.broker)) == case.written + 1
    case.finish()
    assert case.run.progress.restoring == []
    assert REGISTRY.get_sample_value("tidegate_restore_records", labels) == 0


@pytest.mark.parametrize("folded", [LONG // 2, LONG + SHORT])
def test_a_rebalance_that_gives_the_partition_back_costs_nothing(folded: int) -> None:
    case = Restart()
    while case.stage.folded < folded:
        case.run.run_once()
    case.broker.expire_members()
    case.finish()
    assert case.run.digests() == case.digests
    assert case.stage.folded == LONG + SHORT, "no record is folded a second time"


def test_what_another_member_advanced_goes_on_from_what_is_parked() -> None:
    case = Restart()
    case.finish()
    other = case.start("", "1")
    for _ in range(20):
        case.run.run_once()
        other.run_once()
    for key in KEYS:
        send_with(case.broker, key, b"3:1", b"3:2")
    for _ in range(40):
        case.run.run_once()
        other.run_once()
    folded = case.stage.folded
    digests = case.run.digests() | other.digests()
    assert len(digests) == 2
    other.close()
    case.finish()
    assert case.run.digests() == digests
    assert case.stage.folded > folded, "the partition that the other one had was let go"


def test_a_state_that_others_have_left_behind_is_not_gone_on_from(tmp_path: object) -> None:
    """The note no longer says where the labels came in that it has not absorbed."""
    case = Restart(f"file://{tmp_path}")
    case.finish()
    case.broker.expire_members()
    other = case.start(f"file://{tmp_path}", "1", snapshot_every=2)
    while not other.progress.restored:
        other.run_once()
    for at in range(8):
        case.broker.append("side", b"k", b"%d" % at, None, None)
        for key in KEYS:
            send_with(case.broker, key, b"3:%d" % at)
        for _ in range(3):
            other.run_once()
    digests = other.digests()
    assert len(digests) == 2
    for _ in range(200):
        case.run.run_once()
        other.run_once()
    assert len(case.run.digests()) == 1
    assert case.run.digests() | other.digests() == digests


def test_snapshots_are_written_on_the_way(tmp_path: object) -> None:
    case = Restart(f"file://{tmp_path}")
    while case.stage.folded < LONG // 2:
        case.run.run_once()
        case.clock.now += 10_000_000
    case.run.close()
    folded = case.stage.folded
    case.run = case.start(f"file://{tmp_path}")
    case.finish()
    assert case.run.digests() == case.digests
    done_twice = case.stage.folded - LONG - SHORT
    assert done_twice < folded - LONG // 4, "it went on from the snapshot"


def test_a_long_restore_says_how_far_it_is(caplog: pytest.LogCaptureFixture) -> None:
    case = Restart()
    with caplog.at_level(logging.INFO, "tidegate.stream.restoration"):
        while not case.run.progress.restored:
            case.run.run_once()
            case.clock.now += 2_000_000
    lines = [record.getMessage() for record in caplog.records]
    assert 1 <= len(lines) <= 10
    assert "restoring partition" in lines[0]
    assert "s left" in lines[0]


class Leaderless:
    """A partition whose log does not answer while `away`."""

    def __init__(self, source: TopicPartition) -> None:
        self.away, self.asked = True, 0
        bounds = MemoryConsumer.bounds

        def asked(consumer: MemoryConsumer, partition: TopicPartition) -> tuple[int, int]:
            if partition == source and self.away:
                self.asked += 1
                raise Retry("there is no leader")
            return bounds(consumer, partition)

        self.bounds = asked


@pytest.mark.parametrize("number", [0, 1])
def test_a_partition_without_a_leader_stops_no_other(
    number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At a first assignment, and while both are restored."""
    broker = MemoryBroker({**TOPICS, "in": 2})
    log = Leaderless(TopicPartition("in", number))
    monkeypatch.setattr(MemoryConsumer, "bounds", log.bounds)
    clock = Clock()
    run = runner(broker, CountStage(), monotonic=clock)
    for at in range(40):
        for key in KEYS:
            send_with(broker, key, b"1:%d" % at)
        run.run_once()
    assert len(outputs(broker)) == 40, "the healthy one is served"
    assert not run.progress.restored
    assert log.asked <= 10
    log.away = False
    clock.now += 30_000_000
    until_idle(run)
    assert len(outputs(broker)) == 80
    before = run.digests()
    run.close()
    again = runner(broker, CountStage(), monotonic=clock)
    log.away = True
    monkeypatch.setattr(Positions, "_check", lambda _self, _source, position: position)
    for _ in range(40):
        again.run_once()
    healthy = TopicPartition("in", 1 - number)
    assert again.digests() == {healthy: before[healthy]}
    log.away = False
    clock.now += 30_000_000
    until_idle(again)
    assert again.digests() == before


def test_a_fold_from_the_beginning_says_so(caplog: pytest.LogCaptureFixture) -> None:
    """After an upgrade of the layout nothing else would tell why a start takes long."""
    with caplog.at_level(logging.INFO, "tidegate.stream.restore"):
        restart = Restart()
        restart.finish()
    told = "no snapshot of this version: its state is folded anew, from 0 to"
    assert [told in record.message for record in caplog.records].count(True) == len(KEYS)
