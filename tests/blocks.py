"""Frames in the messages of topics, whether they lie in blocks or alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from tidegate.broker.addresses import address_of
from tidegate.broker.memory.broker import MemoryBroker
from tidegate.broker.records import Batch, TopicPartition
from tidegate.messages.frame_column import read_block


def frames_in(values: Iterable[bytes | None]) -> list[bytes]:
    """All frames of these messages, in their order."""
    frames: list[bytes] = []
    for value in values:
        frames += read_block(value) or [value or b""]
    return frames


def frames_on(broker: MemoryBroker, topic: str) -> list[bytes]:
    """All frames that a reader of committed records finds on a topic."""
    return frames_in(record.value for _, _, record in broker.committed_records(topic))


def records_of(broker: MemoryBroker, source: TopicPartition) -> Iterator[Batch]:
    """The readable records of a partition, frames one by one, each as a batch of its own."""
    for offset, record in enumerate(broker.logs[source]):
        if record.readable:
            values = read_block(record.value) or [record.value]
            for index, value in enumerate(values):
                yield Batch(
                    source,
                    [address_of(source.topic, offset, index)],
                    [record.key],
                    [value],
                    [record.timestamp],
                    [record.headers],
                )
