"""What the runner does besides surviving: rejects, the breaker, retries, sides, snapshots,
stopping.
"""

from __future__ import annotations

import logging
import threading
import uuid
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from prometheus_client import REGISTRY

from model.hashing import partitions_of
from tests.stream.crash import Clock, Inline
from tests.stream.toy import CopyStage, Counters, CountStage
from tests.support import eventually
from tidegate.broker.kafka import KafkaBroker
from tidegate.broker.memory.broker import MemoryBroker
from tidegate.broker.ports import Consumer
from tidegate.broker.records import Batch, TopicPartition
from tidegate.clock import monotonic_us, now_us
from tidegate.errors import Aborted, ConfigError, Retry
from tidegate.messages.documents import Skip, encode
from tidegate.messages.heartbeats import Held
from tidegate.metrics import LAG
from tidegate.pipeline import DLQ, group_of
from tidegate.reasons import REASONS
from tidegate.settings import Settings
from tidegate.stream.dead_letters import ATTEMPT
from tidegate.stream.pulse import Pulse
from tidegate.stream.runner import Runner
from tidegate.stream.sink import KafkaSink
from tidegate.stream.skips import Skips
from tidegate.stream.skips import topic_id as topic_id_of
from tidegate.stream.snapshot import Snapshots
from tidegate.stream.stage import NoState, Output, Reject, Stage

TOPICS = {"in": 1, "side": 1, "out": 1, DLQ: 1}


def member(
    stage: Stage[Any], broker: MemoryBroker, clock: Callable[[], int]
) -> tuple[Consumer, KafkaSink]:
    """A consumer of the stage's group, and the sink that commits its positions."""
    consumer = broker.consumer(group_of(stage.name))
    sink = KafkaSink(broker, consumer, "toy", instance="0", profile=b"0123abcd", clock=clock)
    return consumer, sink


def runner(
    broker: MemoryBroker,
    stage: Stage[object] | CountStage | CopyStage,
    url: str = "",
    *,
    batch: int = 4000,
    monotonic: Callable[[], int] = monotonic_us,
    skips: Skips | None = None,
) -> Runner:
    clock = Clock()
    return Runner(
        stage,
        broker,
        *member(stage, broker, clock),
        snapshots=Snapshots(url) if url else None,
        clock=clock,
        batch=batch,
        snapshot_every=3,
        side_every=0,
        monotonic=monotonic,
        skips=skips,
        executor=Inline(),
    )


def send(broker: MemoryBroker, *values: bytes, topic: str = "in") -> None:
    for value in values:
        broker.append(topic, b"k", value, [("from", b"test")], None)


def send_with(broker: MemoryBroker, key: bytes, *values: bytes) -> None:
    for value in values:
        broker.append("in", key, value, None, None)


def until_idle(run: Runner) -> int:
    return sum(run.run_once() for _ in range(10))


def outputs(broker: MemoryBroker) -> list[bytes]:
    return [
        (record.value or b"").split(b" ")[0] for _, _, record in broker.committed_records("out")
    ]


def test_one_poison_record_is_isolated_and_its_neighbours_pass() -> None:
    broker = MemoryBroker(TOPICS)
    send(broker, b"1:10", b"boom:11", b"1:12", b"bad:13", b"1:14", b"boom:15")
    run = runner(broker, CountStage())
    assert until_idle(run) == 6
    assert outputs(broker) == [b"10", b"12", b"14"]
    dead = {
        record.value: dict(record.headers or []) for _, _, record in broker.committed_records(DLQ)
    }
    assert set(dead) == {b"boom:11", b"bad:13", b"boom:15"}
    told = dead[b"boom:11"]
    assert (told["tidegate-reason"], told["tidegate-exception"]) == (
        b"exception",
        b"ZeroDivisionError",
    )
    assert (told["tidegate-topic"], told["tidegate-partition"], told["tidegate-offset"]) == (
        b"in",
        b"0",
        b"1",
    )
    assert told["from"] == b"test"
    assert run.progress.processed == 6
    assert run.progress.rejected == 3


def test_a_batch_of_nothing_but_poison() -> None:
    broker = MemoryBroker(TOPICS)
    send(broker, *[b"boom:%d" % at for at in range(7)])
    assert until_idle(runner(broker, CountStage())) == 7
    assert len(broker.committed_records(DLQ)) == 7


@pytest.mark.parametrize(("bad", "held"), [(99, False), (100, True)])
def test_the_breaker_holds_before_anything_of_the_batch_is_committed(bad: int, held: bool) -> None:
    broker = MemoryBroker(TOPICS)
    send(broker, *[b"1:%d" % at for at in range(2000)])
    run = runner(broker, CountStage())
    until_idle(run)
    send(broker, *[b"bad:%d" % at for at in range(bad)], *[b"1:%d" % at for at in range(900 - bad)])
    if not held:
        assert until_idle(run) == 900
        return
    assert until_idle(run) == 0
    assert run.progress.held == [Held(0, 2000, 2000 + bad, ["bad_key"])]
    assert run.progress.lag == 900
    assert broker.committed_records(DLQ) == []


def records(count: int, bad: Sequence[int] = ()) -> list[bytes]:
    return [b"bad:%d" % at if at in bad else b"1:%d" % at for at in range(count)]


def test_a_held_partition_leaves_its_neighbours_alone(caplog: pytest.LogCaptureFixture) -> None:
    broker = MemoryBroker({**TOPICS, "in": 2})
    names = [b"%d" % i for i in range(20)]
    keys = dict(zip(partitions_of(names, 2).tolist(), names, strict=True))
    run = runner(broker, CountStage())
    until_idle(run)
    send_with(broker, keys[0], *records(200, range(200)))
    send_with(broker, keys[1], *records(200))
    assert until_idle(run) == 200
    send_with(broker, keys[1], *records(50))
    assert until_idle(run) == 50
    assert [held.partition for held in run.progress.held] == [0]
    assert (
        REGISTRY.get_sample_value("tidegate_held_partitions", {"stage": "toy", "partition": "0"})
        == 1
    )
    assert caplog.text.count("nothing from offset 0 on is committed") == 1


def test_a_held_partition_is_tried_again_and_goes_on_when_its_cause_is_gone() -> None:
    class Learning(CopyStage):
        mended = False
        tries = 0

        def process(self, state: NoState, batch: Batch) -> Output:
            Learning.tries += 1
            if self.mended:
                return super().process(state, batch)
            return Output(rejects=[Reject(i, "bad_key", "") for i in range(len(batch))])

    broker, now = MemoryBroker(TOPICS), [0]
    send(broker, *records(150))
    stage = Learning()
    run = runner(broker, stage, monotonic=lambda: now[0])
    until_idle(run)
    assert (stage.tries, len(run.progress.held)) == (1, 1), "it waits"
    now[0] = 59_000_000
    until_idle(run)
    assert stage.tries == 1
    now[0] = 61_000_000
    until_idle(run)
    assert (stage.tries, len(run.progress.held)) == (2, 1), "tried once more, and held again"
    stage.mended, now[0] = True, 122_000_000
    assert until_idle(run) == 150
    assert len(broker.committed_records("out")) == 150
    assert run.progress.held == []
    assert (
        REGISTRY.get_sample_value("tidegate_held_partitions", {"stage": "copy", "partition": "0"})
        == 0
    )


def test_a_stage_that_pauses_all_the_time_still_tries_what_is_held_again() -> None:
    class Waiting(CopyStage):
        """Like label while verdicts wait for their rows: each batch asks for a pause."""

        mended = False

        def process(self, state: NoState, batch: Batch) -> Output:
            if batch.source.partition == 0 and not self.mended:
                return Output(rejects=[Reject(i, "bad_key", "") for i in range(len(batch))])
            output = super().process(state, batch)
            output.pause = 0.25
            return output

    broker, now = MemoryBroker({**TOPICS, "in": 2}), [0]
    names = [b"%d" % i for i in range(20)]
    keys = dict(zip(partitions_of(names, 2).tolist(), names, strict=True))
    send_with(broker, keys[0], *records(150))
    stage = Waiting()
    run = runner(broker, stage, monotonic=lambda: now[0], batch=1000)
    until_idle(run)
    send_with(broker, keys[1], b"1:1")
    run.run_once()  # from here on it pauses
    stage.mended, now[0] = True, 61_000_000
    for _ in range(200):
        send_with(broker, keys[1], b"1:1")
        run.run_once()
    assert run.progress.held == []


class Refusing(CopyStage):
    """Rejects all for one reason."""

    def __init__(self, reason: str) -> None:
        self.reason = reason

    def process(self, state: NoState, batch: Batch) -> Output:
        return Output(rejects=[Reject(i, self.reason, "") for i in range(len(batch))])


@pytest.mark.parametrize("reason", sorted(REASONS))
def test_only_what_says_that_the_format_is_broken_holds(reason: str) -> None:
    broker = MemoryBroker(TOPICS)
    send(broker, *records(300))
    run = runner(broker, Refusing(reason))
    assert until_idle(run) == (0 if REASONS[reason].breaks else 300)
    assert {reason for reason, known in REASONS.items() if not known.breaks} == {
        "conflicting_duplicate",
        "unknown_transaction",
        "unavailable_value",
    }


def skips(broker: MemoryBroker, until: int, topic_id: str = "") -> Skips:
    """Orders as the thread that follows topic control finds them."""
    orders = Skips("toy", "in", topic_id_of(broker, "in"))
    add_order(orders, until, topic_id or topic_id_of(broker, "in"))
    return orders


def add_order(orders: Skips, until: int, topic_id: str) -> None:
    order = Skip("toy", 0, topic_id, until, 1, "somebody", 1)
    values: list[bytes | None] = [b"no order", encode(order), None]
    nothing: list[bytes | None] = [None] * 3
    orders.absorb(
        Batch(TopicPartition("control", 0), [0, 1, 2], nothing, values, [0] * 3, [None] * 3)
    )


BAD_TIMES = [*range(10, 130), *range(200, 320)]
"""Of 400 records; 120 bad ones, good ones between, and 120 bad ones again."""


def test_an_order_lets_a_held_partition_go_on_and_loses_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    broker = MemoryBroker(TOPICS)
    send(broker, *records(400, BAD_TIMES))
    orders = Skips("toy", "in", topic_id_of(broker, "in"))
    run = runner(broker, CountStage(), skips=orders)
    assert until_idle(run) == 0
    add_order(orders, 320, topic_id_of(broker, "in"))
    assert until_idle(run) == 400
    assert run.progress.held == []
    assert [int(value) for value in outputs(broker)] == [
        at for at in range(400) if at not in BAD_TIMES
    ]
    assert len(broker.committed_records(DLQ)) == 240
    assert "240 records of in/0 before offset 320 are dead letters, as somebody ordered" in (
        caplog.text
    )


def test_what_lies_behind_an_order_holds_by_itself() -> None:
    broker = MemoryBroker(TOPICS)
    send(broker, *records(400, BAD_TIMES))
    run = runner(broker, CountStage(), skips=skips(broker, 150))
    assert until_idle(run) == 150
    assert run.progress.held == [Held(0, 150, 320, ["bad_key"])]
    assert len(broker.committed_records(DLQ)) == 120


def test_an_order_for_a_topic_that_was_made_anew_is_none() -> None:
    broker = MemoryBroker(TOPICS)
    send(broker, *records(400, BAD_TIMES))
    run = runner(broker, CountStage(), skips=skips(broker, 400, "another id"))
    assert until_idle(run) == 0


def test_records_put_back_never_hold() -> None:
    broker = MemoryBroker(TOPICS)
    for value in records(300):
        broker.append("in", b"k", value, [(ATTEMPT, b"1")], None)
    assert until_idle(runner(broker, Refusing("invalid_json"))) == 300
    assert len(broker.committed_records(DLQ)) == 300


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


class Models(CopyStage):
    """Stateless, with a side: the newest value seen."""

    side = "side"
    newest = b""

    def absorb(self, state: NoState, batch: Batch) -> None:
        self.newest = batch.values[-1] or b""


def test_a_stateless_stage_has_read_its_side_before_it_is_ready_and_follows_it() -> None:
    broker, stage = MemoryBroker(TOPICS), Models()
    send(broker, b"a", b"b", topic="side")
    send(broker, b"1")
    run = runner(broker, stage, batch=1)
    while not run.run_once():
        assert not outputs(broker)
    assert stage.newest == b"b"
    send(broker, b"c", topic="side")
    run.run_once()
    assert stage.newest == b"c"
    assert run.progress.restored


def test_damaged_snapshots_are_skipped_with_a_warning(
    caplog: pytest.LogCaptureFixture, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("snapshots")
    broker = MemoryBroker(TOPICS)
    run = runner(broker, CountStage(), f"file://{folder}", batch=2)
    for at in range(10):
        send(broker, b"%d:%d" % (at % 3, at))
        send(broker, b"%d" % at, topic="side")
        run.run_once()
    until_idle(run)
    expected = run.digests()
    run.close()
    files = sorted(folder.rglob("*.snap"))
    assert ["-" in file.name for file in files] == [False, True, True]
    for damaged in reversed(files):
        content = bytearray(damaged.read_bytes())
        content[-1] ^= 1
        damaged.write_bytes(content)
        again = runner(broker, CountStage(), f"file://{folder}")
        with caplog.at_level(logging.WARNING):
            until_idle(again)
        assert "is not used: its SHA-256" in caplog.text
        again.close()
        if damaged == files[2]:
            assert again.progress.restored
            older = runner(broker, CountStage(), f"file://{folder}")
            until_idle(older)
            assert older.digests() == expected
            older.close()


def test_missing_topics_and_wide_sides_are_refused() -> None:
    with pytest.raises(ConfigError, match="no topic 'side'"):
        runner(MemoryBroker({"in": 1}), CountStage())
    with pytest.raises(ConfigError, match="must have 1 partition"):
        runner(MemoryBroker(TOPICS | {"side": 2}), CountStage())


def test_on_kafka_two_workers_share_a_stop_is_clean_and_nothing_is_twice(
    kafka: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    broker, name = KafkaBroker(Settings(kafka=kafka)), uuid.uuid4().hex[:8]
    source, side, to = f"in-{name}", f"side-{name}", "out"
    for topic, partitions in ((source, 2), (side, 1)):
        broker.admin.create(topic, partitions, 1, {})
    for topic in {to, DLQ} - broker.admin.existing():
        broker.admin.create(topic, 1, 1, {})
    topics = [source, side, to, DLQ]
    eventually(lambda: len(broker.topic_ids(topics)) == len(topics), 30)
    url = f"file://{tmp_path_factory.mktemp('snapshots')}"

    class OnKafka(CountStage):
        name, input = f"toy-{source}", source
        side: str | None = f"side-{source[3:]}"

    def start(instance: str) -> tuple[Runner, threading.Thread, threading.Event]:
        consumer = broker.consumer(group_of(OnKafka.name))
        kafka_sink = KafkaSink(
            broker, consumer, OnKafka.name, instance=instance, profile=b"0123abcd", clock=now_us
        )
        run, stop = (
            Runner(OnKafka(), broker, consumer, kafka_sink, snapshots=Snapshots(url), batch=50),
            threading.Event(),
        )
        thread = threading.Thread(target=run.run, args=(stop,))
        thread.start()
        return run, thread, stop

    reader = broker.consumer(None)
    reader.assign({tp: reader.bounds(tp)[1] for tp in reader.partitions(to)})
    found: list[bytes] = []

    def all_out(count: int) -> bool:
        found.extend(
            (value or b"").split(b" ")[0]
            for batch in reader.poll(1000, 0.1)
            for value in batch.values
        )
        return len(found) >= count

    producer, failures = broker.producer(), list[Exception | None]()
    workers = [start("0")]
    for at in range(400):
        if at == 200:
            producer.flush(5)
            workers.append(start("1"))
        producer.produce(source, b"%d" % at, b"%d:%d" % (at % 8, at), failures.append)
        if at % 50 == 0:
            producer.produce(side, b"", b"%d" % at, failures.append)
    producer.flush(5)
    eventually(lambda: all_out(400), 30)
    eventually(
        lambda: all(
            run.progress.restored and len(run.progress.partitions) == 1 for run, *_ in workers
        ),
        20,
    )
    before = {tp: digest for run, *_ in workers for tp, digest in run.digests().items()}
    for _, thread, stop in workers:
        stop.set()
        thread.join(5)
        assert not thread.is_alive()
    assert not all_out(401)
    assert sorted(map(int, found)) == list(range(400))
    run, thread, stop = start("0")
    eventually(lambda: run.progress.restored and len(run.progress.partitions) == 2, 20)
    assert run.digests() == before
    stop.set()
    thread.join(5)
    producer.close()
    reader.close()


def test_counters_refuse_wrong_use() -> None:
    with pytest.raises(AssertionError):
        Counters().rollback()


class Short(CountStage):
    """Its state is made of the last few records; knows which it was given."""

    side = None
    reach = 4

    def __init__(self) -> None:
        self.given: list[int] = []

    def process(self, state: Counters, batch: Batch) -> Output:
        self.given += batch.offsets
        return super().process(state, batch)


@pytest.mark.parametrize("kept", [True, False])
def test_what_a_state_does_not_reach_back_to_is_not_read_again(kept: bool) -> None:
    broker, url = MemoryBroker(TOPICS), f"memory://{uuid.uuid4().hex}"
    run = runner(broker, Short(), url, batch=3)
    send(broker, *[b"1:%d" % at for at in range(3)])
    until_idle(run)
    if kept:
        assert Snapshots(url).offsets("toy", run._restorer._tag, 0), (
            "one, that is too old in the end"
        )
    send(broker, *[b"1:%d" % at for at in range(20)])
    run._snapshotter = None
    until_idle(run)
    run.close()
    again = Short()
    until_idle(runner(broker, again, url if kept else ""))
    assert again.given == [19, 20, 21, 22]
