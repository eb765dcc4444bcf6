"""A restore of half a minute in a group that waits six seconds for a poll, on a real Kafka."""

from __future__ import annotations

import threading
import uuid

import confluent_kafka as ck
from confluent_kafka.admin import AdminClient

from tests.stream.toy import Counters, CountStage
from tests.support import eventually
from tidegate.broker.kafka import KafkaBroker, config
from tidegate.broker.kafka.consumer import KafkaConsumer
from tidegate.broker.records import Batch, TopicPartition
from tidegate.clock import now_us
from tidegate.pipeline import DLQ
from tidegate.settings import Settings
from tidegate.stream.runner import Runner
from tidegate.stream.sink import KafkaSink
from tidegate.stream.stage import Output

RECORDS, BATCH = 1500, 10
PATIENCE_MS = 6000
SECONDS = 0.2
"""What a batch takes: 30 s for a partition."""


class Slow(CountStage):
    """Folds a batch as slowly as a heavy one would, and keeps the offsets that it folded."""

    side = None

    def __init__(self, topic: str, seconds: float) -> None:
        self.name, self.input, self._seconds = topic, topic, seconds
        self.folded: dict[TopicPartition, list[int]] = {}

    def process(self, state: Counters, batch: Batch) -> Output:
        threading.Event().wait(self._seconds)
        self.folded.setdefault(batch.source, []).extend(batch.offsets)
        super().process(state, batch)
        return Output()


class Member:
    """A member of the group, which is called as the topic is, that runs in a thread."""

    def __init__(self, address: str, topic: str, name: str, seconds: float) -> None:
        settings = Settings(kafka=address)
        broker = KafkaBroker(settings)
        self.stage = Slow(topic, seconds)
        self.consumer = KafkaConsumer(
            config.consumer(settings, topic, None, reset="error")
            | {
                "client.id": name,  # the assignor sorts by it
                "max.poll.interval.ms": PATIENCE_MS,
                "session.timeout.ms": PATIENCE_MS,
            }
        )
        sink = KafkaSink(
            broker, self.consumer, topic, instance=name, profile=b"0123abcd", clock=now_us
        )
        self.runner = Runner(self.stage, broker, self.consumer, sink, snapshots=None, batch=BATCH)
        self.stop = threading.Event()
        self._thread = threading.Thread(target=self.runner.run, args=(self.stop,))
        self._thread.start()

    @property
    def sources(self) -> list[int]:
        return self.runner.progress.partitions

    @property
    def ready(self) -> bool:
        return self.runner.progress.restored

    def end(self) -> None:
        self.stop.set()
        self._thread.join(10)
        assert not self._thread.is_alive()


def test_a_long_restore_keeps_its_place_in_the_group_through_a_rebalance(kafka: str) -> None:
    topic = f"restored-{uuid.uuid4().hex[:12]}"
    broker = KafkaBroker(Settings(kafka=kafka))
    broker.admin.create(topic, 2, 1, {})
    broker.admin.create(DLQ, 1, 1, {})
    fill(kafka, topic)
    writer = Member(kafka, topic, "a", 0.0)
    eventually(lambda: writer.runner.progress.processed == 2 * RECORDS, 60)
    before = writer.runner.digests()
    writer.end()

    first = Member(kafka, topic, "a", SECONDS)
    source = TopicPartition(topic, 0)
    eventually(lambda: len(first.stage.folded.get(source, ())) > RECORDS // 4, 60)
    (known_as,) = members(kafka, topic)
    second = Member(kafka, topic, "b", 0.0)
    eventually(lambda: second.ready and len(second.sources) == 1, 30)
    assert not first.ready
    eventually(lambda: first.ready, 60)
    assert known_as in members(kafka, topic), "the group has never thrown it out"
    assert first.stage.folded[source] == list(range(RECORDS)), "each record once"
    assert first.runner.digests() | second.runner.digests() == before
    for member in (first, second):
        member.end()


def members(address: str, group: str) -> set[str]:
    """The ids of a group's members, as the broker has them.

    To ask a client of confluent-kafka for its own stops all of Python while it waits.
    """
    admin = AdminClient({"bootstrap.servers": address})
    described = admin.describe_consumer_groups([group])[group].result(10)
    return {member.member_id for member in described.members}


def fill(address: str, topic: str) -> None:
    """Records of both partitions, without a transaction's markers between them."""
    producer = ck.Producer({"bootstrap.servers": address})
    for at in range(RECORDS):
        for partition in range(2):
            producer.produce(topic, b"%d:%d" % (at % 8, at), partition=partition)
    assert producer.flush(30) == 0
