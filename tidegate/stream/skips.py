"""Orders to pass over bad records: before which offset rejects do not hold a partition."""

from __future__ import annotations

from collections import deque

import msgspec

from tidegate.broker.ports import Broker
from tidegate.broker.records import Batch, TopicPartition
from tidegate.errors import ConfigError
from tidegate.messages.documents import Skip


class Skips:
    """The orders on topic `control` for one stage, whose input has the id `topic_id`.

    `absorb` is called by the thread that follows the topic, everything else by the runner. An order
    for a topic that was made anew since is none.
    """

    def __init__(self, stage: str, topic: str, topic_id: str) -> None:
        self._stage, self._topic, self._topic_id = stage, topic, topic_id
        self._orders: dict[TopicPartition, Skip] = {}
        self._news: deque[TopicPartition] = deque()

    def absorb(self, batch: Batch) -> None:
        """Take records of the topic; what is no order for this stage is left out."""
        for value in batch.values:
            try:
                order = msgspec.json.decode(value or b"", type=Skip)
            except (msgspec.DecodeError, UnicodeDecodeError):
                continue
            if (order.stage, order.topic_id) == (self._stage, self._topic_id):
                source = TopicPartition(self._topic, order.partition)
                self._orders[source] = order
                self._news.append(source)

    def order(self, source: TopicPartition) -> Skip | None:
        """The newest order for this partition."""
        return self._orders.get(source)

    def until(self, source: TopicPartition) -> int:
        """Rejects before this offset do not count."""
        order = self._orders.get(source)
        return order.until if order else 0

    def news(self) -> set[TopicPartition]:
        """The partitions with an order that came since the last call."""
        news = set()
        while self._news:
            news.add(self._news.popleft())
        return news


def topic_id(broker: Broker, topic: str) -> str:
    """What changes when a topic is made anew. Raises ConfigError when there is none."""
    ids = broker.topic_ids([topic])
    if topic not in ids:
        raise ConfigError(f"there is no topic {topic!r}: run `tidegate topics apply`")
    return ids[topic][0]
