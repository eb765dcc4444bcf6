"""Frames on their way out: one block for each partition of their topic."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tidegate.broker.murmur2 import partition_of
from tidegate.broker.ports import Broker, TransactionalProducer
from tidegate.errors import ConfigError
from tidegate.messages.frame_column import FrameColumn
from tidegate.stream.stage import Emit


class BlockWriter:
    """Writes the frames of all batches of a transaction together. It asks once for the number of a
    topic's partitions.
    """

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._partitions: dict[str, int] = {}

    def write(self, producer: TransactionalProducer, emits: Sequence[Emit]) -> None:
        """Send the emits, each topic's in their order."""
        frames: dict[str, dict[int, list[FrameColumn]]] = {}
        for emit in emits:
            if isinstance(emit.values, FrameColumn):
                own = frames.setdefault(emit.topic, defaultdict(list))
                self._share_out(emit, emit.values, own)
            else:
                producer.produce(emit.topic, emit.keys, emit.values, emit.headers)
        for topic, columns in frames.items():
            self._send(producer, topic, columns)

    def _share_out(
        self, emit: Emit, values: FrameColumn, shares: dict[int, list[FrameColumn]]
    ) -> None:
        """Add to each partition's share what belongs there."""
        home = self._home(emit)
        present = np.unique(home)
        if len(present) == 1:
            shares[int(present[0])].append(values)
            return
        for partition in present.tolist():
            shares[partition].append(values.take(np.flatnonzero(home == partition)))

    def _home(self, emit: Emit) -> NDArray[np.int64]:
        """The partition of each frame."""
        count = self._count(emit.topic)
        if emit.hashes is not None:
            return emit.hashes % count
        return np.array([partition_of(key or b"", count) for key in emit.keys], np.int64)

    def _count(self, topic: str) -> int:
        if topic not in self._partitions:
            ids = self._broker.topic_ids([topic])
            if topic not in ids:
                raise ConfigError(f"there is no topic {topic!r}: run `tidegate topics apply`")
            self._partitions[topic] = ids[topic][1]
        return self._partitions[topic]

    @staticmethod
    def _send(
        producer: TransactionalProducer, topic: str, columns: dict[int, list[FrameColumn]]
    ) -> None:
        blocks = [
            (partition, block)
            for partition, shares in sorted(columns.items())
            for block in FrameColumn.joined(shares).blocks()
        ]
        producer.produce(
            topic,
            [None] * len(blocks),
            [block for _, block in blocks],
            partitions=[partition for partition, _ in blocks],
        )
