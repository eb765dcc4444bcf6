"""What became of each record of the raw topic, one byte for each offset."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tidegate.clock import day_of

ROW, DEAD, UNDER_WAY, READ = 1, 2, 4, 8
"""Bits of a byte. A record may be several at once: a dead letter that was put back is a row too."""

Outcome = Literal["row", "dead_letter", "under_way", "repeat", "passed", "erased", "missing"]
OUTCOMES: tuple[Outcome, ...] = (
    "row",
    "dead_letter",
    "under_way",
    "repeat",
    "passed",
    "erased",
    "missing",
)
_MS_A_DAY = 86_400_000


class Missing(NamedTuple):
    """A record that is nowhere. `id` is empty where it cannot be read."""

    partition: int
    offset: int
    time_ms: int
    id: str


class Ledger:
    """`bounds`: of each partition the first offset and the one after the last."""

    def __init__(self, bounds: Mapping[int, tuple[int, int]]) -> None:
        self.bounds = dict(bounds)
        self._bytes = {
            partition: np.zeros(max(0, end - first), np.uint8)
            for partition, (first, end) in bounds.items()
        }

    def mark(self, bit: int, places: NDArray[np.int64]) -> None:
        """Set a bit of records at partition and offset, i8[n, 2]; those out of bounds are left."""
        for partition in np.unique(places[:, 0]).tolist():
            if partition in self.bounds:
                self.mark_offsets(bit, partition, places[places[:, 0] == partition, 1])

    def mark_offsets(self, bit: int, partition: int, offsets: NDArray[np.int64]) -> None:
        """Set a bit of records of one partition; those out of bounds are left."""
        first, end = self.bounds[partition]
        self._bytes[partition][offsets[(offsets >= first) & (offsets < end)] - first] |= bit

    def mark_from(self, bit: int, partition: int, offset: int) -> None:
        """Set a bit of all records of a partition from an offset on."""
        first = self.bounds[partition][0]
        self._bytes[partition][max(0, offset - first) :] |= bit

    def outcomes(self, partition: int, offsets: NDArray[np.int64]) -> NDArray[np.int8]:
        """The outcome i1[n] of records as an index of OUTCOMES, -1 where no bit says it."""
        bits = self._bytes[partition][offsets - self.bounds[partition][0]]
        found = np.full(len(offsets), -1, np.int8)
        for bit, outcome in ((UNDER_WAY, 2), (DEAD, 1), (ROW, 0)):
            found[(bits & bit) > 0] = outcome
        return found

    def rows_without_record(self) -> int:
        """How many rows name a place, behind the first record read, where no record was."""
        return sum(map(_unread_rows, self._bytes.values()))


def _unread_rows(bits: NDArray[np.uint8]) -> int:
    read = np.flatnonzero(bits & READ)
    return int(np.count_nonzero(bits[read[0] :] & (ROW | READ) == ROW)) if len(read) else 0


@dataclass(slots=True)
class Totals:
    """How many records had which outcome, by partition and day of ingest (UTC)."""

    counts: Counter[tuple[int, str, Outcome]] = field(default_factory=Counter)
    missing: list[Missing] = field(default_factory=list)
    """The first of them."""
    rows_without_record: int = 0

    def add(self, partition: int, times_ms: NDArray[np.int64], outcomes: NDArray[np.int8]) -> None:
        """Count records by their times and outcomes (indices of OUTCOMES)."""
        pairs = np.stack([times_ms // _MS_A_DAY, outcomes], axis=1)
        kinds, counts = np.unique(pairs, axis=0, return_counts=True)
        for (day, outcome), count in zip(kinds.tolist(), counts.tolist(), strict=True):
            self.counts[partition, day_of(day * _MS_A_DAY * 1000), OUTCOMES[outcome]] += count

    def of(self, outcome: Outcome) -> int:
        """All records with this outcome."""
        return sum(count for (_, _, kind), count in self.counts.items() if kind == outcome)

    @property
    def records(self) -> int:
        """All records."""
        return self.counts.total()

    @property
    def equal(self) -> bool:
        """Whether nothing is missing, and no row came out of nowhere."""
        return not self.of("missing") and not self.rows_without_record


def places(pairs: Sequence[tuple[int, int]]) -> NDArray[np.int64]:
    """Partitions and offsets as i8[n, 2]."""
    return np.array(pairs, np.int64).reshape(-1, 2)
