"""What a producer puts and a consumer takes, for the suites of both brokers."""

from __future__ import annotations

from tests.broker.conftest import Bench
from tests.support import eventually
from tidegate.broker.ports import Consumer, TransactionalProducer
from tidegate.broker.records import Batch, Position, TopicPartition


def put(producer: TransactionalProducer, topic: str, *values: bytes) -> None:
    producer.begin()
    producer.produce(topic, [b"k"] * len(values), values)
    producer.commit()


def tail(bench: Bench, topic: str, at: int = 0) -> tuple[Consumer, TopicPartition]:
    consumer, source = bench.consumer(), TopicPartition(topic, 0)
    consumer.assign({source: at})
    return consumer, source


def take(consumer: Consumer, count: int, most: int = 100) -> list[Batch]:
    """Batches until `count` records are there, then one poll more that must bring nothing."""
    batches: list[Batch] = []

    def enough() -> bool:
        batches.extend(consumer.poll(most, 0.05))
        return sum(map(len, batches)) >= count

    eventually(enough)
    batches += consumer.poll(most, 0.1)
    assert sum(map(len, batches)) == count
    return batches


def values(batches: list[Batch]) -> list[bytes | None]:
    return [value for batch in batches for value in batch.values]


class Member:
    """A member that starts where the group stands, and keeps what it reads."""

    def __init__(self, bench: Bench, group: str, topic: str, instance: str | None = None) -> None:
        self.consumer, self.held, self.revocations = (
            bench.consumer(group, instance),
            list[TopicPartition](),
            0,
        )
        self.batches: list[Batch] = []
        self.consumer.subscribe(topic, self._assigned, self._revoked)

    def _assigned(self, sources: list[TopicPartition]) -> dict[TopicPartition, int]:
        self.held = sources
        committed = self.consumer.committed(sources)
        return {
            source: committed[source].offset if source in committed else 0 for source in sources
        }

    def _revoked(self, sources: list[TopicPartition]) -> None:
        self.held = []
        self.revocations += 1

    def poll(self) -> None:
        self.batches += self.consumer.poll(100, 0.02)

    def write(self, producer: TransactionalProducer, note: str = "") -> None:
        """Commit the positions of what was read."""
        positions = {batch.source: Position(batch.next_offset, note) for batch in self.batches}
        producer.begin()
        producer.send_offsets(self.consumer, positions)
        producer.commit()


def read(member: Member, count: int) -> None:
    def enough() -> bool:
        member.poll()
        return sum(map(len, member.batches)) == count

    eventually(enough, 20)
