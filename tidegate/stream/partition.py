"""What the runner knows of one partition: its state, how far it is, and how many of its records
were rejects.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from dataclasses import dataclass, field
from typing import NamedTuple

from tidegate.broker.records import Batch, Position, TopicPartition
from tidegate.errors import Stop
from tidegate.stream import input_order as interleaving
from tidegate.stream.input_order import Pair
from tidegate.stream.stage import Output, State

WINDOW, LIMIT = 1000, 100


class Breaker:
    """Stops a stage before it empties a topic into the dead letters."""

    def __init__(self) -> None:
        self._seen = 0
        self._rejects: deque[int] = deque()

    def check(self, batch: Batch, rejects: list[int], reasons: set[str]) -> None:
        """Raises Stop when, with these offsets of a batch, `LIMIT` of some `WINDOW` records in a
        row are rejects.
        """
        found = [*self._rejects, *self._numbers(batch, rejects)]
        if any(
            last - first < WINDOW for first, last in zip(found, found[LIMIT - 1 :], strict=False)
        ):
            raise Stop(
                f"{LIMIT} of the last {WINDOW} records of "
                f"{batch.source.topic}/{batch.source.partition} are "
                f"rejects ({', '.join(sorted(reasons))}): nothing of this batch was committed. "
                "Mend the "
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


class Mark(NamedTuple):
    """The two offsets a snapshot was taken at."""

    offset: int
    side: int


@dataclass(slots=True)
class Part:
    """One assigned partition. `offset` and `side` are the next to process; `pairs` is what the note
    must hold.
    """

    source: TopicPartition
    state: State
    offset: int
    side: int = 0
    pairs: list[Pair] = field(default_factory=list)
    kept: list[Mark] = field(default_factory=list)
    breaker: Breaker = field(default_factory=Breaker)

    def saved(self, mark: Mark) -> None:
        """A snapshot is durable: the note need not reach behind the older of the two that are
        kept.
        """
        self.kept = [*self.kept, mark][-2:]
        if len(self.kept) == 2:
            self.pairs = interleaving.after(self.pairs, self.kept[0].side)


@dataclass(slots=True)
class Step:
    """A batch that was processed and not yet committed."""

    part: Part
    side: int
    pairs: list[Pair]
    results: list[tuple[Batch, Output]]
    offset: int

    @property
    def position(self) -> Position:
        """What to store with the outputs."""
        return Position(self.offset, interleaving.encode(self.pairs))

    @property
    def rejects(self) -> list[int]:
        """The offsets of the rejects."""
        return [
            batch.offsets[reject.at] for batch, output in self.results for reject in output.rejects
        ]

    def commit(self) -> None:
        """The outputs are durable: go on from here."""
        self.part.state.commit()
        self.part.offset, self.part.side, self.part.pairs = self.offset, self.side, self.pairs
