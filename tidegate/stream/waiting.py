"""Records that a stage without state puts off: they stay where they are on the log.

The position goes on past them, and the note beside it says which ones wait. So none is written
again, and after a restart they are read from the log.
"""

from __future__ import annotations

import base64
import logging
import zlib
from bisect import bisect_left
from collections.abc import Iterable
from typing import NamedTuple

from tidegate.broker.ports import Consumer
from tidegate.broker.records import Batch, TopicPartition
from tidegate.stream.side_topic import read_range

_LOG = logging.getLogger(__name__)
SPAN = 20_000
"""Offsets from the oldest record that waits to the newest one read: what lies behind is not read
yet. One bit each, so that a note has 3,400 characters at most (Kafka takes 4,096).
"""
_FIRST_US, _LONGEST_US = 250_000, 4_000_000
_MARK = "waiting:"


class _Held(NamedTuple):
    """A record, when it is looked at again, and how long it waited for that."""

    record: Batch
    due_us: int
    delay_us: int


class Waiting:
    """The records of one partition that wait, by offset."""

    def __init__(self) -> None:
        self._held: dict[int, _Held] = {}

    def __len__(self) -> int:
        return len(self._held)

    def room(self, batch: Batch) -> int:
        """How many records of a batch lie within the span."""
        first = min(self._held, default=batch.offsets[0])
        return bisect_left(batch.offsets, first + SPAN)

    def due(self, source: TopicPartition, now_us: int, keys: Iterable[bytes | None] = ()) -> Batch:
        """The records whose time has come, and all others that have one of their keys, or one of
        `keys`: those of one key are never looked at in another order than they came.
        """
        wanted = {held.record.keys[0] for held in self._held.values() if held.due_us <= now_us}
        wanted = wanted.union(keys) - {None}
        return _join(
            source,
            [
                held.record
                for _, held in sorted(self._held.items())
                if held.due_us <= now_us or held.record.keys[0] in wanted
            ],
        )

    def with_due(self, batch: Batch, now_us: int) -> Batch:
        """A batch behind those whose time has come, and behind those that have one of its keys."""
        due = self.due(batch.source, now_us, batch.keys)
        return _join(batch.source, [due, batch]) if len(due) else batch

    def offsets_after(self, processed: Iterable[int], waits: Iterable[int]) -> list[int]:
        """Which offsets wait once some were processed, of which `waits` go on waiting."""
        return sorted((self._held.keys() - set(processed)).union(waits))

    def settle(self, batch: Batch, waits: set[int], now_us: int) -> None:
        """A batch is committed: those at `waits` are looked at again, after twice the time."""
        for index, offset in enumerate(batch.offsets):
            before = self._held.pop(offset, None)
            if offset in waits:
                delay = min(2 * before.delay_us, _LONGEST_US) if before else _FIRST_US
                record = before.record if before else batch.slice(index, index + 1)
                self._held[offset] = _Held(record, now_us + delay, delay)

    def restore(self, reader: Consumer, source: TopicPartition, note: str) -> None:
        """What the note says, read from the log where it is not known. Raises Retry."""
        offsets = decode(note)
        if offsets == sorted(self._held):
            return
        self._held.clear()
        wanted = set(offsets)
        for batch in (
            read_range(reader, source, offsets[0], offsets[-1] + 1, SPAN) if offsets else ()
        ):
            for index, offset in enumerate(batch.offsets):
                if offset in wanted:
                    self._held[offset] = _Held(batch.slice(index, index + 1), 0, _FIRST_US)
        if lost := len(wanted) - len(self._held):
            _LOG.error("%d records of %s/%d that waited are not in the log", lost, *source)


def encode(offsets: list[int]) -> str:
    """The note of these offsets, which rise and lie within a span; "" without any."""
    if not offsets:
        return ""
    bits = 0
    for offset in offsets:
        bits |= 1 << (offset - offsets[0])
    packed = zlib.compress(bits.to_bytes(SPAN // 8 + 1, "little"), 9)
    return f"{_MARK}{offsets[0]}:{base64.b64encode(packed).decode()}"


def decode(note: str) -> list[int]:
    """The reverse of `encode`; nothing for other notes."""
    if not note.startswith(_MARK):
        return []
    first, _, packed = note.removeprefix(_MARK).partition(":")
    content = zlib.decompress(base64.b64decode(packed))
    bits = int.from_bytes(content, "little")
    return [int(first) + k for k in range(bits.bit_length()) if bits >> k & 1]


def gone(note: str, first: int) -> list[int]:
    """The offsets of a note that lie before the log's first one."""
    return [offset for offset in decode(note) if offset < first]


def without(note: str, first: int) -> str:
    """The note without those; other notes, and those of which none is gone, as they are."""
    if not gone(note, first):
        return note
    return encode([offset for offset in decode(note) if offset >= first])


def _join(source: TopicPartition, parts: list[Batch]) -> Batch:
    whole = Batch(source, [], [], [], [], [])
    for part in parts:
        whole.offsets += part.offsets
        whole.keys += part.keys
        whole.values += part.values
        whole.timestamps += part.timestamps
        whole.headers += part.headers
    return whole
