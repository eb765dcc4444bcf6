"""Whole topics read at once: labels of long ago, what they say, and how far the weights of a bundle
are published.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from model.bundles.promotion import model_message
from tidegate.broker.ports import Broker, Consumer
from tidegate.broker.records import Batch, Position, TopicPartition
from tidegate.messages.documents import OnlineWeights, decode_label
from tidegate.pipeline import LABELS, MODELS
from tidegate.stream.side_topic import read_range
from tidegate.stream.sink import KafkaSink

_POLL = 4000


def read_part(broker: Broker, topic: str, start: int, stop: int | None = None) -> Iterator[Batch]:
    """The records of a topic of one partition with `start` <= offset < `stop` (None: its end).
    Raises Retry, Stop.
    """
    consumer = broker.consumer(None)
    try:
        (source,) = consumer.partitions(topic)
        first, end = consumer.bounds(source)
        yield from read_range(
            consumer, source, max(first, start), end if stop is None else stop, _POLL
        )
    finally:
        consumer.close()


def label_history(broker: Broker) -> Callable[[int, int], Iterator[Batch]]:
    """A reader of the labels with `start` <= offset < `stop`; reading raises Retry."""
    return lambda start, stop: read_part(broker, LABELS, start, stop)


def verdicts(broker: Broker) -> dict[str, bool]:
    """Whether each transaction with a label is a fraud, by the last label on it. Raises Retry."""
    said: dict[str, bool] = {}
    for batch in read_part(broker, LABELS, 0):
        for value in batch.values:
            try:
                label = decode_label(value or b"")
            except (msgspec.DecodeError, UnicodeDecodeError):
                continue  # a rollback, or what the learner makes a dead letter
            said[label.transaction_id] = label.fraud
    return said


def labels_of(ids: Sequence[str], said: Mapping[str, bool]) -> NDArray[np.int8]:
    """What `verdicts` says of transactions: i8[n], 1 fraud, 0 legitimate, -1 without a verdict."""
    return np.fromiter((int(said.get(name, -1)) for name in ids), np.int8, len(ids))


class WeightsSink(KafkaSink):
    """Goes on from the newest weights published for `bundle`, whatever labels other bundles have
    learnt.

    So a bundle that was never learnt for is taken through all labels, publishing on the way, before
    any new one comes.
    """

    def __init__(
        self,
        broker: Broker,
        consumer: Consumer,
        bundle: str,
        *,
        instance: str,
        profile: bytes,
        clock: Callable[[], int],
    ) -> None:
        super().__init__(broker, consumer, "learn", instance=instance, profile=profile, clock=clock)
        self._bundle, self._next, self._labels = bundle, 0, -1

    def positions(self, partitions: list[TopicPartition]) -> dict[TopicPartition, Position]:
        super().positions(partitions)  # an earlier process's transaction has ended
        for batch in read_part(self._broker, MODELS, self._next):
            for value in batch.values:
                message = model_message(value)
                if isinstance(message, OnlineWeights) and message.bundle == self._bundle:
                    self._labels = message.labels
            self._next = batch.next_offset
        return (
            {}
            if self._labels < 0
            else {partition: Position(self._labels) for partition in partitions}
        )
