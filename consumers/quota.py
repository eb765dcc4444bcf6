"""How many verdicts of a source count: a fold of one partition of the feedback topic.

A verdict is counted when it is first read, whatever becomes of it: so the counts follow from this
log alone. They stand in the note beside the position, and are written in one transaction with the
labels.
"""

from __future__ import annotations

import hashlib
import math
import struct

import numpy as np

from tidegate.stream.stage import Arrays

SOURCES = 64
"""With a count of their own in an hour; the last one is that of all others."""
_HOUR_MS = 3_600_000
_HOUR = struct.Struct("<q")
_COUNT = struct.Struct("<8sI")
_OTHERS = bytes(8)


def share(hourly: int, partitions: int) -> int:
    """How many of a source's verdicts an hour one partition admits.

    Ids spread by their hashes never fall evenly. A share with four standard deviations to spare is
    what a source that keeps to `hourly` does not meet; all together admit 4 sqrt(hourly *
    partitions) more.
    """
    even = hourly / partitions
    return min(hourly, math.ceil(even + 4 * math.sqrt(even)))


class Quota:
    """At most `most` verdicts of one source in an hour of the log's record time.

    Implements the ports `State` and `InNote`. A time more than an hour back begins anew, or a
    broker's clock that ran ahead would hold the quota until the others get there. After `SOURCES`
    sources in an hour all others share one quota, so that new names buy nothing.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._hour = 0
        self._counts: dict[bytes, int] = {}
        """By the hash of a source's name."""
        self._next = 0
        """The offset from which on nothing is counted yet: what waited comes again."""
        self._before = self._hour, dict(self._counts), self._next

    def admit(self, offset: int, source: str, time_ms: int) -> bool:
        """Count the verdict at an offset, recorded at `time_ms`; False: over quota.

        One that was counted before was admitted then.
        """
        if offset < self._next:
            return True
        self._next = offset + 1
        hour = time_ms // _HOUR_MS
        if not self._hour - 1 <= hour <= self._hour:
            self._hour, self._counts = hour, {}
        name = hashlib.blake2b(source.encode(), digest_size=8).digest()
        if name not in self._counts and len(self._counts) >= SOURCES - 1:
            name = _OTHERS
        count = self._counts.get(name, 0)
        if count >= self._most:
            return False
        self._counts[name] = count + 1
        return True

    def begin(self) -> None:
        """What comes from here on can be undone."""
        self._before = self._hour, dict(self._counts), self._next

    def rollback(self) -> None:
        """Everything as it was at `begin`."""
        self._hour, counts, self._next = self._before
        self._counts = dict(counts)

    def commit(self) -> None:
        """There is nothing to forget: `begin` saves all there is."""

    def to_note(self) -> bytes:
        """Hour and counts, up to 776 bytes; none where nothing was counted yet."""
        if not self._counts:
            return b""
        counts = (_COUNT.pack(name, count) for name, count in sorted(self._counts.items()))
        return _HOUR.pack(self._hour) + b"".join(counts)

    def from_note(self, kept: bytes, offset: int) -> None:
        """Take over what `to_note` gave at a position."""
        self._hour = _HOUR.unpack_from(kept)[0] if kept else 0
        self._counts = dict(_COUNT.iter_unpack(kept[_HOUR.size :]))
        self._next = offset
        self.begin()

    def arrays(self) -> Arrays:
        return {"quota": np.frombuffer(self.to_note(), np.uint8)}

    def digest(self) -> str:
        return self.to_note().hex()
