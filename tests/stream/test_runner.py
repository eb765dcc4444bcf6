"""What the runner does besides surviving: retries, pauses, counts, clocks."""

from __future__ import annotations

import pytest

from tests.stream.crash import Clock, Inline
from tests.stream.running import TOPICS, member, outputs, runner, send, until_idle
from tests.stream.toy import CopyStage, CountStage
from tests.support import eventually
from tidegate.broker.memory.broker import MemoryBroker
from tidegate.broker.records import Batch
from tidegate.errors import Aborted, Retry
from tidegate.metrics import LAG
from tidegate.stream.pulse import Pulse
from tidegate.stream.runner import Runner
from tidegate.stream.stage import NoState, Output


class Shy(CopyStage):
    """Raises Retry as often as it is told to."""

    failures = 3

    def process(self, state: NoState, batch: Batch) -> Output:
        if self.failures:
            self.failures -= 1
            raise Retry("the database is away")
        return super().process(state, batch)


def test_a_stage_that_retries_waits_longer_each_time_and_keeps_polling() -> None:
    broker, clock = MemoryBroker(TOPICS), Clock(step=1000)
    run = Runner(
        Shy(), broker, *member(Shy(), broker, clock), snapshots=None, clock=clock, monotonic=clock
    )
    send(broker, b"1", b"2")
    polls: list[int] = []
    broker.hook = lambda name, done: (
        polls.append(clock.now) if name == "poll" and not done else None
    )
    while not run.run_once():
        assert len(polls) < 1000
    assert outputs(broker) == [b"1", b"2"]
    assert polls[-1] - polls[0] >= 20_000 + 40_000 + 80_000
    assert len(polls) > 20


class Counting(CopyStage):
    """Counts what is committed; `seen` what it has processed."""

    def __init__(self) -> None:
        super().__init__()
        self.seen = self.counted = 0

    def process(self, state: NoState, batch: Batch) -> Output:
        output = super().process(state, batch)
        self.seen += len(batch)
        output.on_commit.append(lambda: self._count(len(batch)))
        return output

    def _count(self, records: int) -> None:
        self.counted += records


def test_a_stage_counts_only_what_is_committed() -> None:
    broker, stage, failed = MemoryBroker(TOPICS), Counting(), list[str]()

    def fail_once(name: str, done: bool) -> None:
        if name == "commit" and not done and stage.seen and not failed:
            failed.append(name)
            raise Aborted("the broker is away")

    send(broker, b"1", b"2", b"3")
    broker.hook = fail_once
    assert until_idle(runner(broker, stage, monotonic=Clock(step=100_000))) == 3
    assert failed
    assert (stage.seen, stage.counted) == (6, 3)


def lags(stage: str) -> set[str]:
    """The partitions whose lag is shown."""
    return {
        sample.labels["partition"]
        for metric in LAG.collect()
        for sample in metric.samples
        if sample.labels["stage"] == stage
    }


def test_the_lag_of_a_partition_that_was_taken_away_is_shown_no_more() -> None:
    class Shared(CopyStage):
        name = "shared"

    class Other(CopyStage):
        name = "other"  # a member of the same group, whose metrics are those of another process

    broker, clock = MemoryBroker(TOPICS | {"in": 2}), Clock()

    def start(stage: CopyStage) -> Runner:
        return Runner(stage, broker, *member(Shared(), broker, clock), snapshots=None, clock=clock)

    def settled(runs: list[Runner], partitions: int) -> bool:
        for run in runs:
            run.run_once()
        return all(len(run.progress.partitions) == partitions for run in runs)

    first = start(Shared())
    eventually(lambda: settled([first], 2))
    assert lags("shared") == {"0", "1"}
    second = start(Other())
    eventually(lambda: settled([first, second], 1))
    assert lags("shared") | lags("other") == {"0", "1"}
    assert len(lags("shared")) == len(lags("other")) == 1
    first.close()
    second.close()


def test_restoring_beats_for_each_batch_that_is_read() -> None:
    broker = MemoryBroker(TOPICS)
    send(broker, *[b"1:%d" % at for at in range(30)])
    run = runner(broker, CountStage())
    until_idle(run)
    run.close()
    beats: list[float] = []

    class Counted(Pulse):
        def beat(self) -> None:
            super().beat()
            beats.append(self.turned)

    clock, stage = Clock(), CountStage()
    pulse = Counted()
    again = Runner(
        stage,
        broker,
        *member(stage, broker, clock),
        snapshots=None,
        clock=clock,
        batch=3,
        executor=Inline(),
        pulse=pulse,
    )
    turns = 0
    while not again.progress.restored:
        again.run_once()
        turns += 1
    assert len(beats) >= turns + 10
    again.close()


@pytest.mark.parametrize("hours", [-1, 1])
def test_a_clock_that_is_set_while_a_stage_waits_stops_nothing(hours: int) -> None:
    broker, clock, monotonic = MemoryBroker(TOPICS), Clock(step=1000), Clock(step=1000)
    clock.now = 10 * 3_600_000_000
    stage = Shy()
    run = Runner(
        stage,
        broker,
        *member(stage, broker, clock),
        snapshots=None,
        clock=clock,
        monotonic=monotonic,
    )
    send(broker, b"1", b"2")
    while stage.failures == Shy.failures:
        run.run_once()
    clock.now += hours * 3_600_000_000
    began, turns = monotonic.now, 0
    while not run.run_once():
        turns += 1
        assert turns < 1000, "it waits for the wall clock"
    assert outputs(broker) == [b"1", b"2"]
    assert 40_000 + 80_000 <= monotonic.now - began < 1_000_000


class Patient(CopyStage):
    def process(self, state: NoState, batch: Batch) -> Output:
        output = super().process(state, batch)
        output.pause = 0.5
        return output


def test_a_stage_can_ask_for_a_pause() -> None:
    broker, clock = MemoryBroker(TOPICS), Clock(step=1000)
    run = Runner(
        Patient(),
        broker,
        *member(Patient(), broker, clock),
        snapshots=None,
        clock=clock,
        monotonic=clock,
        batch=1,
    )
    send(broker, b"1", b"2")
    while not run.run_once():
        pass
    since = clock.now
    while not run.run_once():
        pass
    assert clock.now - since >= 500_000
