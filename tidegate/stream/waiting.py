"""Records that a stage without snapshots puts off: they stay where they are on the log.

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
SPAN = 16_000
"""Offsets from the oldest record that waits to the newest one read: what lies behind is not read
yet. One bit each, so that a note has 3,800 characters at most (Kafka takes 4,096), with the 800
bytes of a state that may stand in it (`tidegate.stream.stage.InNote`).
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


def encode(offsets: list[int], kept: bytes = b"") -> str:
    """The note of these offsets, which rise and lie within a span, and of what a state is.

    It is "" without any. What is `kept` stands behind the compressed offsets, where the version of
    Tidegate before passes over it.
    """
    if not offsets and not kept:
        return ""
    first = offsets[0] if offsets else 0
    bits = 0
    for offset in offsets:
        bits |= 1 << (offset - first)
    packed = zlib.compress(bits.to_bytes(bits.bit_length() // 8 + 1, "little"), 9) + kept
    return f"{_MARK}{first}:{base64.b64encode(packed).decode()}"


def decode(note: str) -> list[int]:
    """The offsets that `encode` was given; nothing for other notes."""
    if not note.startswith(_MARK):
        return []
    first, content, _ = _unpacked(note)
    bits = int.from_bytes(content, "little")
    return [first + k for k in range(bits.bit_length()) if bits >> k & 1]


def kept(note: str) -> bytes:
    """What stands beside the offsets in a note of `encode`; nothing for other notes."""
    return _unpacked(note)[2] if note.startswith(_MARK) else b""


def _unpacked(note: str) -> tuple[int, bytes, bytes]:
    """The first offset, the bits of all, and what stands behind them."""
    first, _, packed = note.removeprefix(_MARK).partition(":")
    stream = zlib.decompressobj()
    content = stream.decompress(base64.b64decode(packed))
    return int(first), content, stream.unused_data


def gone(note: str, first: int) -> list[int]:
    """The offsets of a note that lie before the log's first one."""
    return [offset for offset in decode(note) if offset < first]


def without(note: str, first: int) -> str:
    """The note without those; other notes, and those of which none is gone, as they are."""
    if not gone(note, first):
        return note
    return encode([offset for offset in decode(note) if offset >= first], kept(note))


def _join(source: TopicPartition, parts: list[Batch]) -> Batch:
    whole, values = Batch(source, [], [], [], [], []), list[bytes | None]()
    for part in parts:
        whole.offsets += part.offsets
        whole.keys += part.keys
        values += part.values
        whole.timestamps += part.timestamps
        whole.headers += part.headers
    whole.values = values
    return whole
