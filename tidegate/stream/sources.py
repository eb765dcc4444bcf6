"""How far each partition of the step before has been seen, to notice what comes again.

The records of one source partition arrive in its order, because one producer at a time makes them.
So one that is at or below the highest offset seen has come before: the group of the step before
lost its offsets. When its log was made anew, its offsets begin again but its ingest times do not.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tidegate.stream.stage import Arrays

Ints = NDArray[np.int64]
_MARK = "sources:"
_LONGEST_NOTE = 4000
"""Kafka keeps 4,096 characters: some 140 partitions."""


class Sources:
    """The highest offset and the newest ingest time (us) by source partition.

    Implements `tidegate.stream.stage.State`; a stage that keeps nothing else has it in the note
    beside its committed position.
    """

    def __init__(self) -> None:
        self._highest: dict[int, tuple[int, int]] = {}
        self._before: dict[int, tuple[int, int]] = {}

    def begin(self) -> None:
        """What comes from here on can be undone."""
        self._before = dict(self._highest)

    def rollback(self) -> None:
        """Everything as it was at `begin`."""
        self._highest = dict(self._before)

    def commit(self) -> None:
        """There is nothing to forget: `begin` saves all there is."""

    def repeats(self, partitions: Ints, offsets: Ints, ingested: Ints) -> NDArray[np.bool_]:
        """Which of n records, in their order, have come before; those that have not are noted."""
        again = np.zeros(len(partitions), np.bool_)
        for partition in sorted(set(partitions.tolist())):
            own = np.flatnonzero(partitions == partition)
            again[own] = self._one(partition, offsets[own], ingested[own])
        return again

    def _one(self, partition: int, offsets: Ints, ingested: Ints) -> NDArray[np.bool_]:
        highest, newest_us = self._highest.get(partition, (-1, 0))
        if offsets[0] > highest and (offsets[1:] > offsets[:-1]).all():
            self._highest[partition] = int(offsets[-1]), max(newest_us, int(ingested.max()))
            return np.zeros(len(offsets), np.bool_)
        again = np.zeros(len(offsets), np.bool_)
        for i, (offset, ingest_us) in enumerate(
            zip(offsets.tolist(), ingested.tolist(), strict=True)
        ):
            again[i] = offset <= highest and ingest_us <= newest_us
            if not again[i]:
                highest, newest_us = offset, max(newest_us, ingest_us)
        self._highest[partition] = highest, newest_us
        return again

    def array(self) -> Ints:
        """i8[n, 3]: partition, highest offset, newest ingest time, by partition."""
        rows = [(partition, *seen) for partition, seen in sorted(self._highest.items())]
        return np.array(rows, np.int64).reshape(-1, 3)

    def load(self, rows: Ints) -> None:
        """Take over what `array` gave."""
        self._highest = {
            partition: (highest, time_us) for partition, highest, time_us in rows.tolist()
        }
        self.begin()

    def arrays(self) -> Arrays:
        return {"sources": self.array()}

    def digest(self) -> str:
        return self.note()

    def note(self) -> str:
        """All of it as a text; "" when it is too long for the note beside a position."""
        text = _MARK + ",".join(":".join(map(str, row)) for row in self.array().tolist())
        return text if len(self._highest) and len(text) <= _LONGEST_NOTE else ""

    def restore(self, note: str) -> None:
        """Take over what `note` gave; nothing from other notes."""
        rows = note.removeprefix(_MARK).split(",") if note.startswith(_MARK) else []
        self.load(
            np.array([list(map(int, row.split(":"))) for row in rows], np.int64).reshape(-1, 3)
        )
