"""Records as they cross the ports of a broker: positions, and batches by column."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from tidegate.broker import addresses
from tidegate.messages.frame_column import FrameColumn

Headers = list[tuple[str, bytes]]


class TopicPartition(NamedTuple):
    """One partition of a topic."""

    topic: str
    partition: int


class Position(NamedTuple):
    """The next offset to read, and what the writer noted beside it (at most 4,096 characters)."""

    offset: int
    note: str = ""


@dataclass(slots=True)
class Batch:
    """Records of one partition in offset order, by column. All lists have one length.

    `offsets` are addresses where the topic holds blocks (see `tidegate.broker.addresses`).
    `timestamps` are the broker's record timestamps in ms; `received_us` is the runner's clock at
    the poll, `log_us` what the log's clock says then (see `tidegate.stream.log_time`). `end` is the
    offset after the batch that these records were taken from; 0 where they are all of it.
    """

    source: TopicPartition
    offsets: list[int]
    keys: list[bytes | None]
    values: Sequence[bytes | None]
    timestamps: list[int]
    headers: list[Headers | None]
    received_us: int = 0
    log_us: int = 0
    end: int = 0

    def __len__(self) -> int:
        return len(self.offsets)

    @property
    def next_offset(self) -> int:
        """The offset after the last record, also where that one was left out by `take`."""
        return self.end or self.offsets[-1] + 1

    def behind(self, index: int) -> int:
        """The offset to go on from after the record at an index."""
        return self._end_of(index, index + 1) or self.offsets[index] + 1

    def slice(self, start: int, stop: int) -> Batch:
        """The records `start` to `stop` (exclusive) by index, as a batch of their own."""
        return Batch(
            self.source,
            self.offsets[start:stop],
            self.keys[start:stop],
            self.values[start:stop],
            self.timestamps[start:stop],
            self.headers[start:stop],
            self.received_us,
            self.log_us,
            self._end_of(start, stop),
        )

    def _end_of(self, start: int, stop: int) -> int:
        """The offset after the records of a slice, where it does not follow from the last one."""
        if stop >= len(self):
            return self.end
        if start >= stop or not addresses.has_blocks(self.source.topic):
            return 0
        return addresses.after(self.source.topic, self.offsets, stop)

    def take(self, indices: Sequence[int]) -> Batch:
        """The records at these indices, which rise."""
        return Batch(
            self.source,
            [self.offsets[i] for i in indices],
            [self.keys[i] for i in indices],
            self.values.take(np.array(indices, np.intp))
            if isinstance(self.values, FrameColumn)
            else [self.values[i] for i in indices],
            [self.timestamps[i] for i in indices],
            [self.headers[i] for i in indices],
            self.received_us,
            self.log_us,
            self.next_offset,
        )
