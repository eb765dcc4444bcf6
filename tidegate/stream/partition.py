"""What the runner knows of one partition: its state, how far it is, its share of rejects."""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from dataclasses import dataclass, field
from typing import NamedTuple

from tidegate.broker.records import Batch, Position, TopicPartition
from tidegate.errors import Stop
from tidegate.stream import input_order
from tidegate.stream.input_order import Pair
from tidegate.stream.stage import Output, State

WINDOW, LIMIT = 1000, 100


class Breaker:
    """Stops a stage before it empties a topic into the dead letters."""

    def __init__(self) -> None:
        self._seen = 0
        self._rejects: deque[int] = deque()

    def check(self, batch: Batch, rejects: list[int], reasons: set[str]) -> None:
        """Raises Stop when `LIMIT` of some `WINDOW` records in a row are rejects.

        `rejects` are the offsets of this batch's, `reasons` their words.
        """
        numbers = [*self._rejects, *self._numbers(batch, rejects)]
        if any(
            last - first < WINDOW
            for first, last in zip(numbers, numbers[LIMIT - 1 :], strict=False)
        ):
            raise Stop(
                f"{LIMIT} of the last {WINDOW} records of "
                f"{batch.source.topic}/{batch.source.partition} are rejects "
                f"({', '.join(sorted(reasons))}): nothing of this batch was committed. Mend the "
                "producer or the profile, or redrive later, then start the stage again"
            )

    def count(self, batch: Batch, rejects: list[int]) -> None:
        """A batch is committed: one that is rewound comes again, and must not count twice."""
        self._rejects.extend(self._numbers(batch, rejects))
        self._seen += len(batch)
        while self._rejects and self._rejects[0] < self._seen - WINDOW:
            self._rejects.popleft()

    def _numbers(self, batch: Batch, rejects: list[int]) -> list[int]:
        """The numbers, among all records seen, of the records at these offsets."""
        return sorted(self._seen + bisect_left(batch.offsets, offset) for offset in rejects)


class SnapshotOffsets(NamedTuple):
    """What a snapshot has taken in: the input before `offset`, side records before `side`."""

    offset: int
    side: int


@dataclass(slots=True)
class Partition:
    """One assigned partition and its state.

    `offset` and `side` are the next to process, `pairs` what the note must hold, `snapshots` the
    newest two that are durable.
    """

    source: TopicPartition
    state: State
    offset: int
    side: int = 0
    pairs: list[Pair] = field(default_factory=list)
    snapshots: list[SnapshotOffsets] = field(default_factory=list)
    breaker: Breaker = field(default_factory=Breaker)

    def saved(self, snapshot: SnapshotOffsets) -> None:
        """A snapshot is durable: the note need not reach behind the older of the two kept."""
        self.snapshots = [*self.snapshots, snapshot][-2:]
        if len(self.snapshots) == 2:
            self.pairs = input_order.after(self.pairs, self.snapshots[0].side)


@dataclass(slots=True)
class ProcessedBatch:
    """A batch that was processed and not yet committed, and what to commit with it.

    `results` are several where records that made the stage raise were taken out of the batch.
    """

    partition: Partition
    batch: Batch
    results: list[tuple[Batch, Output]]
    side: int
    pairs: list[Pair]

    @property
    def position(self) -> Position:
        """What to store with the outputs."""
        return Position(self.batch.next_offset, input_order.encode(self.pairs))

    @property
    def reject_offsets(self) -> list[int]:
        """The offsets of the rejects."""
        return [
            batch.offsets[reject.index]
            for batch, output in self.results
            for reject in output.rejects
        ]

    @property
    def reject_reasons(self) -> list[str]:
        """The reason of each reject."""
        return [reject.reason for _, output in self.results for reject in output.rejects]

    @property
    def passed(self) -> list[tuple[str, int]]:
        """How many records of each kind nothing comes of."""
        return [item for _, output in self.results for item in output.passed.items()]

    @property
    def pause(self) -> float:
        """Seconds that the stage asks the runner to wait."""
        return max(output.pause for _, output in self.results)

    def commit(self) -> None:
        """The outputs are durable: go on from here."""
        partition = self.partition
        partition.state.commit()
        partition.offset = self.batch.next_offset
        partition.side = self.side
        partition.pairs = self.pairs

    def rollback(self) -> None:
        """The outputs are not written: the state is as it was before the batch."""
        self.partition.state.rollback()
