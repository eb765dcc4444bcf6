"""One consumer that many threads ask in turn how far topics reach."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

from tidegate.broker.ports import Broker, Consumer
from tidegate.broker.records import TopicPartition
from tidegate.errors import Retry


class Asker:
    """Thread-safe. While the broker is away one thread waits for it; the others give up in time."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._turn = threading.Lock()
        self._consumer: Consumer | None = None
        self._sources: dict[str, list[TopicPartition]] = {}

    def ends(self, topics: Sequence[str], deadline: float) -> dict[TopicPartition, int]:
        """The offset after the last stable record of each partition.

        Raises Retry when it is not this thread's turn by `deadline` (of `time.monotonic`), and
        after an answer that came later, unless it was the last. ConfigError when there is no such
        topic.
        """
        if not self._turn.acquire(timeout=max(0.0, deadline - time.monotonic())):
            raise Retry("Kafka has not answered those who asked before")
        try:
            return self._ask(topics, deadline)
        finally:
            self._turn.release()

    def close(self) -> None:
        """Close the consumer."""
        with self._turn:
            if self._consumer is not None:
                self._consumer.close()

    def _ask(self, topics: Sequence[str], deadline: float) -> dict[TopicPartition, int]:
        consumer = self._consumer = self._consumer or self._broker.consumer(None)
        ends: dict[TopicPartition, int] = {}
        for topic in topics:
            if topic not in self._sources:
                self._sources[topic] = consumer.partitions(topic)
            for source in self._sources[topic]:
                if ends and time.monotonic() > deadline:
                    raise Retry(f"Kafka has not told in time where topic {topic} ends")
                ends[source] = consumer.bounds(source)[1]
        return ends
