"""Orders to pass over bad records, or over lost ones.

Before which offset rejects do not hold a partition, and which loss does not.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import msgspec

from tidegate.broker.addresses import address_of
from tidegate.broker.ports import Broker
from tidegate.broker.records import Batch, TopicPartition
from tidegate.broker.write import write
from tidegate.errors import ConfigError
from tidegate.messages.documents import AcceptedLoss, Skip, encode
from tidegate.pipeline import CONTROL

_DECODERS: tuple[Callable[[bytes], Skip | AcceptedLoss], ...] = (
    msgspec.json.Decoder(Skip).decode,
    msgspec.json.Decoder(AcceptedLoss).decode,
)


class Skips:
    """The orders on topic `control` for one stage, whose input has the id `topic_id`.

    `absorb` is called by the thread that follows the topic, everything else by the runner. An order
    for a topic that was made anew since is none.
    """

    def __init__(self, stage: str, topic: str, topic_id: str) -> None:
        self._stage, self._topic, self._topic_id = stage, topic, topic_id
        self._orders: dict[TopicPartition, Skip] = {}
        self._losses: dict[TopicPartition, AcceptedLoss] = {}
        self._news: deque[TopicPartition] = deque()

    def absorb(self, batch: Batch) -> None:
        """Take records of the topic; what is no order for this stage is left out."""
        for value in batch.values:
            order = _decode(value or b"")
            if order is None or (order.stage, order.topic_id) != (self._stage, self._topic_id):
                continue
            source = TopicPartition(self._topic, order.partition)
            if isinstance(order, Skip):
                self._orders[source] = order
            else:
                self._losses[source] = order
            self._news.append(source)

    def order(self, source: TopicPartition) -> Skip | None:
        """The newest order for this partition."""
        return self._orders.get(source)

    def accepted_loss(self, source: TopicPartition) -> AcceptedLoss | None:
        """The newest order for this partition that accepts a loss."""
        return self._losses.get(source)

    def until(self, source: TopicPartition) -> int:
        """Rejects before this address do not count."""
        order = self._orders.get(source)
        return address_of(source.topic, order.until) if order else 0

    def news(self) -> set[TopicPartition]:
        """The partitions with an order that came since the last call."""
        news = set()
        while self._news:
            news.add(self._news.popleft())
        return news


def _decode(value: bytes) -> Skip | AcceptedLoss | None:
    """The order that a record is, if it is one."""
    for decode in _DECODERS:
        try:
            return decode(value)
        except (msgspec.DecodeError, UnicodeDecodeError):
            continue
    return None


def give(broker: Broker, order: Skip | AcceptedLoss) -> None:
    """Put an order on topic control, where the stage finds it now or when it starts.

    Raises Retry.
    """
    kind = "skip" if isinstance(order, Skip) else "loss"
    key = f"{kind}/{order.stage}/{order.partition}".encode()
    write(broker, CONTROL, key, encode(order), what="the order")


def topic_id(broker: Broker, topic: str) -> str:
    """What changes when a topic is made anew. Raises ConfigError when there is none."""
    ids = broker.topic_ids([topic])
    if topic not in ids:
        raise ConfigError(f"there is no topic {topic!r}: run `tidegate topics apply`")
    return ids[topic][0]
