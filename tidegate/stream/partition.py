"""What the runner knows of one partition: its state, how far it is, its share of rejects."""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from tidegate.broker.addresses import offset_after, offset_of, shown
from tidegate.broker.records import Batch, Position, TopicPartition
from tidegate.messages.documents import lost_range
from tidegate.reasons import breaks
from tidegate.stream import input_order, waiting
from tidegate.stream.dead_letters import attempt
from tidegate.stream.input_order import Pair
from tidegate.stream.sources import Sources
from tidegate.stream.stage import InNote, Output, State
from tidegate.stream.waiting import Waiting

WINDOW, LIMIT = 1000, 100


class Hold(NamedTuple):
    """Why a partition is held: nothing from `offset` on is committed.

    The records before `until` are those whose rejects tripped the breaker. Or so many are `lost`,
    transaction markers counted: the log has nothing at `offset`, and begins at `until`.
    """

    offset: int
    until: int
    reasons: tuple[str, ...]
    lost: int = 0

    def why(self, source: TopicPartition) -> str:
        """A sentence for people."""
        if self.lost:
            first, last = lost_range(*self.in_messages(source.topic), self.lost)
            return (
                f"{self.lost} records of {source.topic}/{source.partition} are lost between offset "
                f"{first} and {last}: the log "
                + (f"begins at {last}" if self.offset < self.until else f"ends at {first}")
            )
        return (
            f"{LIMIT} of {WINDOW} records of {source.topic}/{source.partition} are rejects "
            f"({', '.join(self.reasons)}): nothing from offset "
            f"{shown(source.topic, self.offset)} on is committed"
        )

    def in_messages(self, topic: str) -> tuple[int, int]:
        """`offset` and `until` as offsets of messages of the topic."""
        return offset_of(topic, self.offset), offset_after(topic, self.until)


class Breaker:
    """Holds a partition before its topic is emptied into the dead letters.

    Only rejects that say that the format or the deployment is broken count (`tidegate.reasons`).
    """

    def __init__(self) -> None:
        self._seen = 0
        self._rejects: deque[int] = deque()

    def check(self, batch: Batch, rejects: Mapping[int, str]) -> Hold | None:
        """Why to hold the partition when `LIMIT` of some `WINDOW` records in a row are rejects.

        `rejects` are the reasons of this batch's that count, by offset.
        """
        if not rejects:
            return None
        numbers = [*self._rejects, *self._numbers(batch, rejects)]
        if not any(
            last - first < WINDOW
            for first, last in zip(numbers, numbers[LIMIT - 1 :], strict=False)
        ):
            return None
        return Hold(batch.offsets[0], max(rejects) + 1, tuple(sorted(set(rejects.values()))))

    def count(self, batch: Batch, rejects: Iterable[int]) -> None:
        """A batch is committed: one that is rewound comes again, and must not count twice."""
        self._rejects.extend(self._numbers(batch, rejects))
        self._seen += len(batch)
        while self._rejects and self._rejects[0] < self._seen - WINDOW:
            self._rejects.popleft()

    def _numbers(self, batch: Batch, rejects: Iterable[int]) -> list[int]:
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
    newest two that are durable and share no file, `copied` the offset of the snapshot that changes
    are counted from (which may not be durable), `hold` why it does not go on at present, `unfolded`
    how many records the state lacks, which the log no longer had, `unsaved` how many the state took
    since its newest durable snapshot.
    """

    source: TopicPartition
    state: State
    offset: int
    side: int = 0
    pairs: list[Pair] = field(default_factory=list)
    snapshots: list[SnapshotOffsets] = field(default_factory=list)
    copied: int | None = None
    breaker: Breaker = field(default_factory=Breaker)
    hold: Hold | None = None
    waiting: Waiting = field(default_factory=Waiting)
    unfolded: int = 0
    unsaved: int = 0

    def parked(self) -> Partition:
        """What is kept while another may serve it: the fold; rejects are counted anew."""
        return Partition(
            self.source,
            self.state,
            self.offset,
            self.side,
            self.pairs,
            self.snapshots,
            self.copied,
            unfolded=self.unfolded,
            unsaved=self.unsaved,
        )

    def saved(self, snapshot: SnapshotOffsets, *, whole: bool = True) -> None:
        """A snapshot is durable: the note need not reach behind the older of the two kept.

        One that is not `whole` goes with the newest.
        """
        others = self.snapshots if whole else self.snapshots[:-1]
        self.snapshots = [*others, snapshot][-2:]
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
        state = self.partition.state
        note = state.note() if isinstance(state, Sources) else input_order.encode(self.pairs)
        kept = state.to_note() if isinstance(state, InNote) else b""
        if len(self.partition.waiting) or self.waits or kept:
            after = self.partition.waiting.offsets_after(self.batch.offsets, self.waits)
            note = waiting.encode(after, kept)
        return Position(self.next_offset, note)

    @property
    def next_offset(self) -> int:
        """Where to go on: records that waited lie before the partition's offset."""
        return max(self.batch.next_offset, self.partition.offset)

    @property
    def waits(self) -> set[int]:
        """The offsets of the records to be looked at again later."""
        return {batch.offsets[index] for batch, output in self.results for index in output.waits}

    @property
    def breaking(self) -> dict[int, str]:
        """The reasons of the rejects that count for the breaker, by offset.

        A record that was put back is known to be at fault, so it does not count again.
        """
        return {
            batch.offsets[reject.index]: reject.reason
            for batch, output in self.results
            for reject in output.rejects
            if breaks(reject.reason) and not attempt(batch.headers[reject.index])
        }

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

    def commit(self, now_us: int = 0) -> None:
        """The outputs are durable: go on from here. What waits does so from `now_us` on."""
        partition = self.partition
        partition.state.commit()
        if len(partition.waiting) or self.waits:
            partition.waiting.settle(self.batch, self.waits, now_us)
        partition.offset = self.next_offset
        partition.unsaved += len(self.batch)
        partition.side = self.side
        partition.pairs = self.pairs
        partition.hold = None

    def count(self) -> None:
        """Let the stage count what is durable now."""
        for _, output in self.results:
            for counted in output.on_commit:
                counted()

    def rollback(self) -> None:
        """The outputs are not written: the state is as it was before the batch."""
        self.partition.state.rollback()
