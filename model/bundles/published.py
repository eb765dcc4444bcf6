"""Whole topics read at once: the verdicts in all labels, and the newest weights of a bundle."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from model.bundles.promotion import model_message
from tidegate.broker.ports import Broker, Consumer
from tidegate.broker.records import Batch, Position, TopicPartition
from tidegate.messages.documents import Label, OnlineWeights, decode_label
from tidegate.pipeline import LABELS, MODELS
from tidegate.stream.side_topic import read_partition
from tidegate.stream.sink import KafkaSink


def label_history(broker: Broker) -> Callable[[int, int], Iterator[Batch]]:
    """A reader of the labels with `start` <= offset < `stop`; reading raises Retry."""
    return lambda start, stop: read_partition(broker, LABELS, start, stop)


def verdicts(broker: Broker) -> dict[str, bool]:
    """Whether each transaction with a label is a fraud, by the verdict that holds. Raises Retry."""
    from model.verdicts import HoldingVerdicts  # with numba: who only reads weights does without

    holding = HoldingVerdicts()
    for batch in read_partition(broker, LABELS, 0):
        holding.add([label for value in batch.values if (label := _label(value)) is not None])
    return holding.frauds


def _label(value: bytes | None) -> Label | None:
    """None for a rollback, and for what the learner makes a dead letter."""
    try:
        return decode_label(value or b"")
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def labels_of(ids: Sequence[str], frauds: Mapping[str, bool]) -> NDArray[np.int8]:
    """The verdicts on these transactions i1[n]: 1 fraud, 0 legitimate, -1 without one."""
    return np.fromiter((int(frauds.get(name, -1)) for name in ids), np.int8, len(ids))


class WeightsSink(KafkaSink):
    """Goes on from the newest weights published for `bundle`, whatever other bundles have learnt.

    A bundle that nobody has learnt for yet is taken through all labels, publishing on the way,
    before it meets any new one.
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
        self._bundle = bundle
        self._next = 0
        self._labels = -1

    def positions(self, partitions: list[TopicPartition]) -> dict[TopicPartition, Position]:
        """Until the first weights of the bundle are out, where the labels begin.

        That is as long as the group has a position: it has none once the topic was made anew.
        """
        committed = super().positions(partitions)  # an earlier process's transaction has ended
        for batch in read_partition(self._broker, MODELS, self._next):
            for value in batch.values:
                message = model_message(value)
                if isinstance(message, OnlineWeights) and message.bundle == self._bundle:
                    self._labels = message.labels
            self._next = batch.next_offset
        if self._labels < 0:
            return {each: Position(self._consumer.bounds(each)[0]) for each in committed}
        return {partition: Position(self._labels) for partition in partitions}
