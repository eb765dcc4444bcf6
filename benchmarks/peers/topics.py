"""Input and output of a peer, and when its results can be read by readers of committed messages."""

from __future__ import annotations

import json
import time
from collections.abc import Collection, Sequence

import numpy as np
from confluent_kafka import Consumer, Producer, TopicPartition
from numpy.typing import NDArray

from benchmarks.pipeline import PARTITIONS, Message

_WAIT = 120.0
"""Seconds without a new message after which a peer counts as stuck."""


class Results:
    """Reads a topic from its beginning, and remembers what came and when.

    `values` are the messages that came since `forget`, `arrived_us` their times (us since 1970).
    """

    def __init__(self, address: str, topic: str) -> None:
        self._consumer = Consumer(
            {
                "bootstrap.servers": address,
                "group.id": "results",
                "enable.auto.commit": False,
                "isolation.level": "read_committed",
                "auto.offset.reset": "earliest",
                "fetch.wait.max.ms": 10,
            }
        )
        self._consumer.assign([TopicPartition(topic, number, 0) for number in range(PARTITIONS)])
        self.values: list[bytes] = []
        self.arrived_us: list[int] = []

    def forget(self) -> None:
        """Begin anew with the next message."""
        self.values, self.arrived_us = [], []

    def read(self, seconds: float) -> int:
        """Take what comes within so many seconds; returns the number of messages."""
        first = self._consumer.poll(seconds)
        if first is None:
            return 0
        messages = [first, *self._consumer.consume(20_000, 0)]
        now = time.time_ns() // 1000
        values = [message.value() or b"" for message in messages if message.error() is None]
        self.values += values
        self.arrived_us += [now] * len(values)
        return len(values)

    def wait(self, count: int, longest: float = _WAIT) -> None:
        """Read until there are `count`. Raises TimeoutError when nothing comes for so many
        seconds.
        """
        last = time.monotonic()
        while len(self.values) < count:
            if self.read(0.05):
                last = time.monotonic()
            elif time.monotonic() - last > longest:
                raise TimeoutError(f"{len(self.values)} of {count} results, and no more come")

    def scores(self, ids: Collection[str]) -> dict[str, float]:
        """The scores in these values, of those of the ids that are there."""
        documents = map(json.loads, self.values)
        return {one["id"]: one["score"] for one in documents if one["id"] in ids}

    def close(self) -> None:
        """Leave."""
        self._consumer.close()


def paced(
    address: str, topic: str, messages: Sequence[Message], rate: int, results: Results | None = None
) -> NDArray[np.float64]:
    """Send `rate` messages a second, and read results meanwhile; when each was due, in us."""
    producer = Producer(
        {"bootstrap.servers": address, "linger.ms": 1, "partitioner": "murmur2_random"}
    )
    began = time.time_ns() // 1000
    for number, (key, value) in enumerate(messages):
        due = began + number * 1_000_000 // rate
        while (left := due - time.time_ns() // 1000) > 0:
            if results is None or not results.read(min(left / 1e6, 0.001)):
                time.sleep(min(left / 1e6, 0.001))
        producer.produce(topic, value, key)
        producer.poll(0)
    producer.flush(30)
    return began + np.arange(len(messages)) * 1e6 / rate
