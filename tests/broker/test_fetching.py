"""What the client of a consumer is asked, and when: librdkafka's own broker, inside of this
process.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence

import confluent_kafka as ck
import pytest
from confluent_kafka import KafkaError, KafkaException

from tests.broker.test_consumer import CONFIG
from tests.support import eventually
from tidegate.broker.kafka.consumer import KafkaConsumer
from tidegate.broker.records import TopicPartition
from tidegate.errors import Retry

SOURCES = [TopicPartition("four", number) for number in range(4)]
RECORDS = 6


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
        self._came([] if message is None else [message])
        return message

    def consume(self, count: int, timeout: float) -> list[ck.Message]:  # type: ignore[override]
        messages = super().consume(count, timeout)
        self._came(messages)
        return messages

    def _came(self, messages: list[ck.Message]) -> None:
        for message in messages:
            error, partition = message.error(), message.partition()
            if partition is not None and (
                error is None or error.code() == KafkaError._PARTITION_EOF
            ):
                self.begun.add(partition)

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


@pytest.fixture
def address() -> Iterator[str]:
    """Of a broker with a topic of four partitions, of six records each."""
    producer = ck.Producer(CONFIG)
    (broker,) = producer.list_topics(timeout=10).brokers.values()
    for source in SOURCES * RECORDS:
        producer.produce(source.topic, b"value", partition=source.partition)
    assert producer.flush(10) == 0
    yield f"{broker.host}:{broker.port}"
    producer.flush(0)  # the broker lives as long as this client


def joined(address: str, kind: type[Watched] = Watched) -> KafkaConsumer:
    more = {
        "bootstrap.servers": address,
        "enable.partition.eof": True,
        "auto.offset.reset": "error",
        "session.timeout.ms": 6000,
        "fetch.wait.max.ms": 10,
        "fetch.error.backoff.ms": 10,
    }
    alone = {name: CONFIG[name] for name in ("group.id", "log_level")}
    consumer = KafkaConsumer({**alone, **more}, kind)
    consumer.subscribe("four", lambda _: {}, lambda _: None)
    return consumer


@pytest.fixture
def member(request: pytest.FixtureRequest, address: str) -> Iterator[KafkaConsumer]:
    """Of a group, with all partitions assigned; nothing is sought yet."""
    consumer = joined(address, getattr(request, "param", Watched))
    wait_for(consumer, SOURCES)
    yield consumer
    consumer.close()
    client = consumer.client
    assert isinstance(client, Watched)
    assert client.too_early == []


def wait_for(consumer: KafkaConsumer, sources: list[TopicPartition]) -> None:
    def held() -> bool:
        return consumer.poll(1, 0.01) == [] and consumer._fetching.assigned == set(sources)

    eventually(held, 30)


def begin(consumer: KafkaConsumer, offset: int) -> None:
    for source in SOURCES:
        consumer.seek(source, offset)
    consumer.resume(SOURCES)


def read(consumer: KafkaConsumer, count: int) -> list[tuple[int, int]]:
    """Partition and offset of so many records, sorted."""
    found: list[tuple[int, int]] = []

    def all_read() -> bool:
        for batch in consumer.poll(10, 0.1):
            found.extend((batch.source.partition, offset) for offset in batch.offsets)
        return len(found) >= count

    eventually(all_read, 30)
    return sorted(found)


def all_from(first: int, *numbers: int) -> list[tuple[int, int]]:
    return [(number, offset) for number in numbers for offset in range(first, RECORDS)]


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
    begin(member, 0)
    member.pause([first])
    assert read(member, 3 * RECORDS) == all_from(0, 1, 2, 3)
    member.pause(others)
    member.seek(first, 4)
    member.resume([first])
    assert read(member, 2) == all_from(4, 0)
    for source in others:
        member.seek(source, 5)
    member.resume(others)
    assert read(member, 3) == all_from(5, 1, 2, 3), "they were paused while assigned anew"


def test_a_partition_that_has_begun_is_sought_without_assigning_the_others_anew(
    member: KafkaConsumer,
) -> None:
    begin(member, 0)
    read(member, 4 * RECORDS)
    member.pause(SOURCES)
    member.seek(SOURCES[2], 3)
    assert member.poll(10, 0.3) == [], "it is paused"
    member.resume(SOURCES)
    assert read(member, 3) == all_from(3, 2)
    assert len(member.client.assigned) == 2


def test_a_partition_that_was_out_of_range_while_it_was_paused_goes_on(
    member: KafkaConsumer,
) -> None:
    """The client tells that of a paused one as well, and goes on pausing it."""
    begin(member, 0)
    read(member, 4 * RECORDS)
    lost = SOURCES[1]

    def told_while_paused() -> bool:
        member.seek(lost, 100)
        member.resume(SOURCES)
        for _ in range(30):  # meanwhile the broker answers that it does not have it
            member.bounds(lost)
        member.pause(SOURCES)
        return member.poll(10, 0.3) == [] and lost in member.out_of_range()

    eventually(told_while_paused, 30)
    member.seek(lost, 2)
    member.resume(SOURCES)
    assert read(member, 4) == all_from(2, 1)


def test_what_was_paused_before_a_rebalance_is_read_after_it(
    member: KafkaConsumer, address: str
) -> None:
    begin(member, 0)
    read(member, 4 * RECORDS)
    member.pause(SOURCES)
    other = joined(address)

    def shared() -> bool:
        member.poll(1, 0.01)
        other.poll(1, 0.01)
        return len(member._fetching.assigned) == len(other._fetching.assigned) == 2

    eventually(shared, 30)
    other.close()
    wait_for(member, SOURCES)
    begin(member, 4)
    assert read(member, 8) == all_from(4, 0, 1, 2, 3)


class Refusing(Watched):
    """A client that cannot be sought."""

    def seek(self, partition: ck.TopicPartition) -> None:
        raise KafkaException(KafkaError(KafkaError._STATE))


@pytest.mark.parametrize("member", [Refusing], indirect=True)
def test_a_seek_that_the_client_refuses_assigns_anew(member: KafkaConsumer) -> None:
    begin(member, 0)
    read(member, 4 * RECORDS)
    member.seek(SOURCES[3], 4)
    assert read(member, 2) == all_from(4, 3)
    with pytest.raises(Retry, match="four/7 is not assigned"):
        member.seek(TopicPartition("four", 7), 0)


class Forgetful(Watched):
    """Begins with all but one partition of the first assignment, as librdkafka now and then."""

    def assign(self, partitions: Sequence[ck.TopicPartition]) -> None:
        forgets = len(partitions) == 4 and [0, 1, 2, 3] not in self.assigned
        super().assign(partitions)
        if forgets:
            ck.Consumer.assign(self, list(partitions[:3]))

    def resume(self, partitions: Sequence[ck.TopicPartition]) -> None:
        ck.Consumer.resume(self, list(partitions))  # the last resort


@pytest.mark.parametrize("member", [Forgetful], indirect=True)
def test_a_partition_that_does_not_begin_is_assigned_anew(
    member: KafkaConsumer, caplog: pytest.LogCaptureFixture
) -> None:
    begin(member, 0)
    member._fetching._patience = 2.0
    with caplog.at_level(logging.WARNING):
        assert read(member, 4 * RECORDS) == all_from(0, 0, 1, 2, 3)
    assert "partition=3" in caplog.messages[0]
    assert "partition=2" not in caplog.messages[0]
    assert member._fetching._patience > 2.0, "the next time it gets more"
