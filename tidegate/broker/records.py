"""Records as they cross the ports of a broker: positions, and batches by column."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

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

    `timestamps` are the broker's record timestamps in ms; `received_us` is the runner's clock at
    the poll.
    """

    source: TopicPartition
    offsets: list[int]
    keys: list[bytes | None]
    values: list[bytes | None]
    timestamps: list[int]
    headers: list[Headers | None]
    received_us: int = 0

    def __len__(self) -> int:
        return len(self.offsets)

    @property
    def next_offset(self) -> int:
        """The offset after the last record."""
        return self.offsets[-1] + 1

    def part(self, start: int, stop: int) -> Batch:
        """The records `start` to `stop` (exclusive) by index, as a batch of their own."""
        cut = slice(start, stop)
        return Batch(
            self.source,
            self.offsets[cut],
            self.keys[cut],
            self.values[cut],
            self.timestamps[cut],
            self.headers[cut],
            self.received_us,
        )
