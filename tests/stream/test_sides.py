"""What the runner does with sides and snapshots, and how it stops."""

from __future__ import annotations

import logging
import threading
import uuid

import pytest

from tests.stream.running import TOPICS, outputs, runner, send, until_idle
from tests.stream.toy import CopyStage, Counters, CountStage
from tests.support import eventually
from tidegate.broker.kafka import KafkaBroker
from tidegate.broker.memory.broker import MemoryBroker
from tidegate.broker.records import Batch
from tidegate.clock import now_us
from tidegate.errors import ConfigError
from tidegate.pipeline import DLQ, group_of
from tidegate.settings import Settings
from tidegate.stream.runner import Runner
from tidegate.stream.sink import KafkaSink
from tidegate.stream.snapshot import Snapshots
from tidegate.stream.stage import NoState, Output


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
