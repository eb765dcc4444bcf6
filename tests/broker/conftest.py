"""The two brokers that must pass one contract suite."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator

import confluent_kafka as ck
import pytest
from confluent_kafka.admin import AdminClient

from tidegate.broker.kafka import KafkaBroker
from tidegate.broker.memory.broker import MemoryBroker
from tidegate.broker.ports import Broker, Consumer
from tidegate.broker.records import TopicPartition
from tidegate.settings import Settings


class Bench:
    """A broker, and fresh topics, groups and ids on it; closes the consumers it made."""

    def __init__(
        self,
        broker: Broker,
        create: Callable[[str, int], object],
        expire: Callable[[TopicPartition, int], object],
    ) -> None:
        self.broker, self._create, self.expire = broker, create, expire
        self._open = list[Consumer]()

    def topic(self, partitions: int = 1) -> str:
        name = self.name("topic")
        self._create(name, partitions)
        return name

    def name(self, kind: str = "name") -> str:
        return f"{kind}-{uuid.uuid4().hex[:12]}"

    def consumer(self, group: str | None = None, instance: str | None = None) -> Consumer:
        self._open.append(self.broker.consumer(group, instance=instance))
        return self._open[-1]

    def watcher(self, group: str) -> Consumer:
        self._open.append(self.broker.watcher(group))
        return self._open[-1]

    def follower(self) -> Consumer:
        self._open.append(self.broker.follower())
        return self._open[-1]

    def close(self) -> None:
        for consumer in self._open:
            consumer.close()


def delete_records(address: str, source: TopicPartition, before: int) -> None:
    """What retention does, at once."""
    admin = AdminClient({"bootstrap.servers": address})
    [done] = admin.delete_records([ck.TopicPartition(*source, before)]).values()
    done.result(10)


def on_kafka(address: str) -> Bench:
    """A bench on the broker at this address."""
    kafka = KafkaBroker(Settings(kafka=address))
    return Bench(
        kafka,
        lambda name, partitions: kafka.admin.create(name, partitions, 1, {}),
        lambda source, before: delete_records(address, source, before),
    )


@pytest.fixture(params=["memory", "kafka"])
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    if request.param == "memory":
        memory = MemoryBroker({})
        made = Bench(memory, memory.create, memory.expire)
    else:
        made = on_kafka(request.getfixturevalue("kafka"))
    yield made
    made.close()
