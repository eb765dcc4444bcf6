"""The two brokers that must pass one contract suite."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator

import pytest

from tidegate.broker.kafka import KafkaBroker
from tidegate.broker.memory.broker import MemoryBroker
from tidegate.broker.ports import Broker, Consumer
from tidegate.settings import Settings


class Bench:
    """A broker, and fresh topics, groups and ids on it; closes the consumers it made."""

    def __init__(self, broker: Broker, create: Callable[[str, int], object]) -> None:
        self.broker, self._create, self._open = broker, create, list[Consumer]()

    def topic(self, partitions: int = 1) -> str:
        name = self.name("topic")
        self._create(name, partitions)
        return name

    def name(self, kind: str = "name") -> str:
        return f"{kind}-{uuid.uuid4().hex[:12]}"

    def consumer(self, group: str | None = None, instance: str | None = None) -> Consumer:
        self._open.append(self.broker.consumer(group, instance=instance))
        return self._open[-1]

    def follower(self) -> Consumer:
        self._open.append(self.broker.follower())
        return self._open[-1]

    def close(self) -> None:
        for consumer in self._open:
            consumer.close()


@pytest.fixture(params=["memory", "kafka"])
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    if request.param == "memory":
        memory = MemoryBroker({})
        made = Bench(memory, memory.create)
    else:
        kafka = KafkaBroker(Settings(kafka=request.getfixturevalue("kafka")))
        made = Bench(kafka, lambda name, partitions: kafka.admin.create(name, partitions, 1, {}))
    yield made
    made.close()
