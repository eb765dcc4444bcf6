"""A consumer after a fatal error of librdkafka, which stays out of its group from then on.

The broker is librdkafka's own, inside of this process.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Sequence

import confluent_kafka as ck
import pytest
from confluent_kafka import KafkaError

from tests.support import eventually
from tidegate.broker.kafka import consumer as module
from tidegate.broker.kafka.config import consumer_error
from tidegate.broker.kafka.consumer import KafkaConsumer
from tidegate.broker.records import TopicPartition
from tidegate.errors import Broken, Fenced, Retry

CONFIG: dict[str, object] = {
    "bootstrap.servers": "inside",
    "test.mock.num.brokers": 1,
    "group.id": "group",
    "log_level": 0,
}
FATAL = KafkaError(KafkaError.FENCED_INSTANCE_ID, "fenced", fatal=True)


def test_a_fatal_error_is_raised_by_the_next_poll_and_every_one_after_it() -> None:
    noted: list[KafkaError] = []
    consumer = KafkaConsumer({**CONFIG, "error_cb": noted.append})
    consumer._noted(KafkaError(KafkaError._TRANSPORT))  # as librdkafka calls it, while it polls
    assert consumer.poll(1, 0) == []
    consumer._noted(FATAL)
    for _ in range(2):
        with pytest.raises(Broken, match="for good: fenced"):
            consumer.poll(1, 0)
    assert noted[-1] is FATAL
    consumer.close()


@pytest.mark.parametrize("fatal", [FATAL, KafkaError(KafkaError._FATAL)])
def test_a_fatal_error_is_no_reason_to_try_again(fatal: KafkaError) -> None:
    assert isinstance(consumer_error(fatal, "poll"), Broken)
    assert isinstance(consumer_error(KafkaError(KafkaError.FENCED_INSTANCE_ID), "poll"), Fenced)


@pytest.mark.parametrize("code", [KafkaError._TRANSPORT, KafkaError._TIMED_OUT])
def test_where_kafka_does_not_answer_it_says_what_to_do(code: int) -> None:
    with pytest.raises(Retry, match=r"^bounds: .*: try again in a moment; `tidegate doctor`"):
        raise consumer_error(KafkaError(code), "bounds")


class Hanging(ck.Consumer):
    """One that waits for a group that it is no member of."""

    def close(self) -> None:
        threading.Event().wait()


def test_a_consumer_that_never_closes_keeps_nobody(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "_CLOSE_SECONDS", 0.1)
    consumer = KafkaConsumer(CONFIG)
    consumer.client.close()
    consumer.client = Hanging(CONFIG)
    with caplog.at_level(logging.ERROR):
        consumer.close()
    assert "did not close" in caplog.text


def test_a_client_that_cannot_be_asked_is_replaced_where_nobody_waits_for_it_in_a_group() -> None:
    """One of librdkafka does not always find its broker again; here it never could."""
    made: list[ck.Consumer] = []
    producer = ck.Producer({**CONFIG, "client.id": "cluster"})
    (broker,) = producer.list_topics(timeout=10).brokers.values()
    producer.produce("topic", b"value", partition=0)
    producer.flush(10)
    addresses = iter(["127.0.0.1:1", f"{broker.host}:{broker.port}"])

    def make(config: dict[str, object]) -> ck.Consumer:
        made.append(ck.Consumer({**config, "bootstrap.servers": next(addresses)}))
        return made[-1]

    alone = {name: CONFIG[name] for name in ("group.id", "log_level")}
    consumer = KafkaConsumer({**alone, "auto.offset.reset": "earliest"}, make)
    source = TopicPartition("topic", 0)
    consumer.assign({source: 0})
    with pytest.raises(Retry, match="partitions"):
        consumer.partitions("topic")
    assert source in consumer.partitions("topic")
    assert consumer.bounds(source) == (0, 1)
    values = [value for batch in consumer.poll(1, 10) for value in batch.values]
    assert (len(made), values) == (2, [b"value"]), "it reads on where it was"
    consumer.close()


def test_a_partition_sought_right_after_its_assignment_is_read_from_there_to_its_end() -> None:
    """At the end, where it once waited, it was found again when librdkafka had asked for that."""
    records = 40
    producer = ck.Producer({**CONFIG, "test.mock.broker.rtt": 100, "batch.num.messages": 1})
    (broker,) = producer.list_topics(timeout=10).brokers.values()
    for _ in range(records):
        producer.produce("topic", b"value" * 20, partition=0)
    assert producer.flush(10) == 0
    alone = {name: CONFIG[name] for name in ("group.id", "log_level")}
    address = {"bootstrap.servers": f"{broker.host}:{broker.port}"}
    consumer = KafkaConsumer({**alone, **address, "fetch.message.max.bytes": 500})
    source = TopicPartition("topic", 0)
    consumer.subscribe("topic", lambda _: {}, lambda _: None)
    eventually(lambda: consumer.poll(1, 0.01) == [] and source in consumer._assigned, 30)
    consumer.seek(source, 5)
    consumer.resume([source])
    offsets: list[int] = []

    def all_read() -> bool:
        offsets.extend(offset for batch in consumer.poll(10, 0.1) for offset in batch.offsets)
        return len(offsets) == records - 5

    eventually(all_read, 30)
    assert offsets == list(range(5, records))
    consumer.close()


class Watched(ck.Consumer):
    """Knows which partitions have brought something since they were assigned, and which of the
    others were paused, resumed or sought: librdkafka's issue 2190 may leave those unread for good.
    """

    def __init__(self, config: dict[str, object]) -> None:
        super().__init__(config)
        self.begun: set[int] = set()
        self.too_early: list[tuple[str, int]] = []
        self.assigned: list[list[int]] = []

    def assign(self, partitions: Sequence[ck.TopicPartition]) -> None:
        self.begun.clear()
        self.assigned.append([p.partition for p in partitions])
        super().assign(list(partitions))

    def poll(self, timeout: float) -> ck.Message | None:  # type: ignore[override] # narrower
        message = super().poll(timeout)
        self.begun |= {message.partition() or 0} if message is not None else set()
        return message

    def consume(self, count: int, timeout: float) -> list[ck.Message]:  # type: ignore[override]
        messages = super().consume(count, timeout)
        self.begun |= {message.partition() or 0 for message in messages}
        return messages

    def _note(self, call: str, partitions: Sequence[ck.TopicPartition]) -> None:
        self.too_early += [(call, p.partition) for p in partitions if p.partition not in self.begun]

    def pause(self, partitions: Sequence[ck.TopicPartition]) -> None:
        self._note("pause", partitions)
        super().pause(list(partitions))

    def resume(self, partitions: Sequence[ck.TopicPartition]) -> None:
        self._note("resume", partitions)
        super().resume(list(partitions))

    def seek(self, partition: ck.TopicPartition) -> None:
        self._note("seek", [partition])
        super().seek(partition)


SOURCES = [TopicPartition("four", number) for number in range(4)]
RECORDS = 6


@pytest.fixture
def member(request: pytest.FixtureRequest) -> Iterator[KafkaConsumer]:
    """Of a group, with four partitions of six records each assigned; nothing is sought yet."""
    producer = ck.Producer(CONFIG)
    (broker,) = producer.list_topics(timeout=10).brokers.values()
    for source in SOURCES * RECORDS:
        producer.produce(source.topic, b"value", partition=source.partition)
    assert producer.flush(10) == 0
    alone = {name: CONFIG[name] for name in ("group.id", "log_level")}
    address = {"bootstrap.servers": f"{broker.host}:{broker.port}", "enable.partition.eof": True}
    consumer = KafkaConsumer({**alone, **address}, getattr(request, "param", Watched))
    consumer.subscribe("four", lambda _: {}, lambda _: None)
    eventually(lambda: consumer.poll(1, 0.01) == [] and consumer._assigned == set(SOURCES), 30)
    yield consumer
    client = consumer.client
    assert isinstance(client, Watched)
    assert client.too_early == []
    consumer.close()


def read(consumer: KafkaConsumer, count: int) -> list[tuple[int, int]]:
    """Partition and offset of so many records, sorted."""
    found: list[tuple[int, int]] = []

    def all_read() -> bool:
        for batch in consumer.poll(10, 0.1):
            found.extend((batch.source.partition, offset) for offset in batch.offsets)
        return len(found) >= count

    eventually(all_read, 30)
    return sorted(found)


def test_partitions_that_are_sought_and_resumed_at_once_are_assigned_once(
    member: KafkaConsumer,
) -> None:
    for source in SOURCES:
        member.seek(source, source.partition)
        member.resume([source])
    wanted = [(number, offset) for number in range(4) for offset in range(number, RECORDS)]
    assert read(member, len(wanted)) == wanted
    assert member.client.assigned == [[], [0, 1, 2, 3]]


def test_a_partition_paused_before_it_brought_anything_is_read_once_it_is_resumed(
    member: KafkaConsumer,
) -> None:
    first, *others = SOURCES
    for source in SOURCES:
        member.seek(source, 0)
    member.resume(SOURCES)
    member.pause([first])
    assert len(read(member, 3 * RECORDS)) == 3 * RECORDS
    member.pause(others)
    member.seek(first, 4)
    member.resume([first])
    assert read(member, 2) == [(0, 4), (0, 5)]
    for source in others:
        member.seek(source, 5)
    member.resume(others)
    assert read(member, 3) == [(1, 5), (2, 5), (3, 5)], "they were paused while assigned anew"


def test_a_partition_that_has_begun_is_sought_without_assigning_the_others_anew(
    member: KafkaConsumer,
) -> None:
    for source in SOURCES:
        member.seek(source, 0)
    member.resume(SOURCES)
    read(member, 4 * RECORDS)
    member.pause(SOURCES)
    assert member.poll(10, 0.1) == []
    member.seek(SOURCES[2], 3)
    member.resume(SOURCES)
    assert read(member, 3) == [(2, 3), (2, 4), (2, 5)]
    assert len(member.client.assigned) == 2


class Forgetful(Watched):
    """Begins with all but one partition of the first assignment, as librdkafka now and then."""

    def assign(self, partitions: Sequence[ck.TopicPartition]) -> None:
        forgets = len(partitions) == 4 and [0, 1, 2, 3] not in self.assigned
        super().assign(partitions)
        if forgets:
            ck.Consumer.assign(self, partitions[:3])


@pytest.mark.parametrize("member", [Forgetful], indirect=True)
def test_a_partition_that_does_not_begin_is_assigned_anew(
    member: KafkaConsumer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "_SILENT_SECONDS", 0.5)
    monkeypatch.setattr(module, "_SILENT_POLLS", 5)
    for source in SOURCES:
        member.seek(source, 0)
    member.resume(SOURCES)
    with caplog.at_level(logging.WARNING):
        assert len(read(member, 4 * RECORDS)) >= 4 * RECORDS
    assert "partition=3" in caplog.text
    assert "partition=2" not in caplog.text
