"""A consumer that takes blocks apart: records with addresses, whatever the messages hold."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import NamedTuple, TypeVar

from tidegate.broker import committed
from tidegate.broker.addresses import address_of, has_blocks, offset_of
from tidegate.broker.ports import Assigned, Consumer, Revoked
from tidegate.broker.records import Batch, Headers, Position, TopicPartition
from tidegate.messages.frame_column import MOST_FRAMES, FrameColumn, read_block

T = TypeVar("T")
_STEP = 16
"""Messages taken at a time once the first is there."""


class _Piece(NamedTuple):
    """What is left of a message: the frames of a block, or the one value of any other."""

    address: int
    values: FrameColumn | list[bytes | None]
    key: bytes | None
    timestamp: int
    headers: Headers | None

    def cut(self, count: int) -> tuple[_Piece, _Piece]:
        """The first `count` records, and the others."""
        rest = self._replace(address=self.address + count, values=self.values[count:])
        return self._replace(values=self.values[:count]), rest

    def joins(self, other: _Piece) -> bool:
        """Whether both can stand in one batch: frames with rows of one size, or no blocks."""
        mine, others = self.values, other.values
        if isinstance(mine, FrameColumn) and isinstance(others, FrameColumn):
            return mine.row_size == others.row_size
        return not isinstance(mine, FrameColumn) and not isinstance(others, FrameColumn)


class BlockConsumer:
    """Implements `tidegate.broker.ports.Consumer` on one whose offsets are those of messages.

    On topics of blocks every offset that goes in or comes out is an address. What was read beyond
    `max_records` stays here for the next poll: of a partition that is paused until it is resumed;
    a seek drops it, and so does the loss of the partition. Records of another kind than those
    before them, such as frames of the version before, come in a batch of their own.
    """

    def __init__(self, inner: Consumer) -> None:
        self.inner = inner
        self._pending: dict[TopicPartition, deque[_Piece]] = {}
        self._from: dict[TopicPartition, int] = {}
        """The address within a message that was sought, until it is read."""
        self._paused: set[TopicPartition] = set()
        self._blocks = False

    def subscribe(self, topic: str, on_assign: Assigned, on_revoke: Revoked) -> None:
        def assigned(sources: list[TopicPartition]) -> Mapping[TopicPartition, int]:
            starts = on_assign(sources)
            self._paused = set(sources) - starts.keys()
            return self._begin(starts)

        def revoked(sources: list[TopicPartition]) -> None:
            self._begin({})
            on_revoke(sources)

        self._blocks = has_blocks(topic)
        self.inner.subscribe(topic, assigned, revoked)

    def assign(self, positions: Mapping[TopicPartition, int]) -> None:
        self._paused.clear()
        self._blocks = any(has_blocks(source.topic) for source in positions)
        self.inner.assign(self._begin(positions))

    def _begin(self, starts: Mapping[TopicPartition, int]) -> dict[TopicPartition, int]:
        """Nothing is pending; the offsets of the messages to begin with."""
        self._pending.clear()
        self._from = dict(starts)
        return {source: offset_of(source.topic, start) for source, start in starts.items()}

    def poll(self, max_records: int, timeout: float) -> list[Batch]:
        if not self._blocks:
            return self.inner.poll(max_records, timeout)
        ready = self._ready()
        # Polled also while there is enough, so that the group hears of this member; but what is
        # pending does not grow for ever.
        if ready < max_records + MOST_FRAMES:
            ready += self._add(self.inner.poll(1, 0.0 if ready else timeout))
            while ready < max_records and (more := self.inner.poll(_STEP, 0.0)):
                ready += self._add(more)
        return self._hand_out(max_records)

    def _ready(self) -> int:
        """How many records could be handed out."""
        return sum(
            len(piece.values)
            for source, pieces in self._pending.items()
            if source not in self._paused
            for piece in pieces
        )

    def _add(self, batches: Sequence[Batch]) -> int:
        """Take messages apart; the number of records."""
        added = 0
        for batch in batches:
            pieces = self._pending.setdefault(batch.source, deque())
            columns = zip(
                batch.offsets,
                batch.values,
                batch.keys,
                batch.timestamps,
                batch.headers,
                strict=True,
            )
            for offset, value, key, timestamp, headers in columns:
                values = read_block(value) if has_blocks(batch.source.topic) else None
                piece = _Piece(
                    address_of(batch.source.topic, offset),
                    [value] if values is None else values,
                    None if values is not None else key,
                    timestamp,
                    headers,
                )
                skipped = max(0, self._from.pop(batch.source, 0) - piece.address)
                if skipped:
                    piece = piece.cut(skipped)[1]
                if len(piece.values):
                    pieces.append(piece)
                    added += len(piece.values)
        return added

    def _hand_out(self, most: int) -> list[Batch]:
        """Up to so many records; who had none goes first the next time."""
        batches = []
        for source in [source for source in self._pending if source not in self._paused]:
            pieces = self._pending[source]
            if not pieces or most <= 0:
                continue
            taken = _take(pieces, most)
            self._pending[source] = self._pending.pop(source)
            batch = _batch(source, taken, pieces)
            most -= len(batch)
            batches.append(batch)
        return batches

    def seek(self, partition: TopicPartition, offset: int) -> None:
        self._pending.pop(partition, None)
        self._from[partition] = offset
        self.inner.seek(partition, offset_of(partition.topic, offset))

    def pause(self, partitions: Sequence[TopicPartition]) -> None:
        self._paused.update(partitions)
        self.inner.pause(partitions)

    def resume(self, partitions: Sequence[TopicPartition]) -> None:
        self._paused.difference_update(partitions)
        self.inner.resume(partitions)

    def position(self, partition: TopicPartition) -> int | None:
        if pieces := self._pending.get(partition):
            return pieces[0].address
        offset = self.inner.position(partition)
        if offset is None:
            return None
        return max(address_of(partition.topic, offset), self._sought(partition, offset))

    def _sought(self, partition: TopicPartition, offset: int) -> int:
        """The address that was sought, while its message is the next one to read."""
        sought = self._from.get(partition, 0)
        return sought if offset_of(partition.topic, sought) == offset else 0

    def out_of_range(self) -> set[TopicPartition]:
        return self.inner.out_of_range()

    def committed(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, Position]:
        found = self.inner.committed(partitions)
        return {
            source: committed.restored(source.topic, position) for source, position in found.items()
        }

    def bounds(self, partition: TopicPartition) -> tuple[int, int]:
        first, end = self.inner.bounds(partition)
        return address_of(partition.topic, first), address_of(partition.topic, end)

    def offset_at(self, partition: TopicPartition, time_ms: int) -> int:
        return address_of(partition.topic, self.inner.offset_at(partition, time_ms))

    def end(self, partition: TopicPartition) -> int | None:
        end = self.inner.end(partition)
        return None if end is None else address_of(partition.topic, end)

    def partitions(self, topic: str) -> list[TopicPartition]:
        return self.inner.partitions(topic)

    def close(self) -> None:
        self.inner.close()


def inner_of(
    consumer: Consumer, positions: Mapping[TopicPartition, Position]
) -> tuple[Consumer, Mapping[TopicPartition, Position]]:
    """The consumer that knows the group, and the positions as they are committed there."""
    if not isinstance(consumer, BlockConsumer):
        return consumer, positions
    return consumer.inner, {
        source: committed.stored(source.topic, position) for source, position in positions.items()
    }


def _take(pieces: deque[_Piece], most: int) -> list[_Piece]:
    """The first records of one kind, at most so many."""
    taken: list[_Piece] = []
    while pieces and most > 0 and (not taken or taken[0].joins(pieces[0])):
        piece = pieces.popleft()
        if len(piece.values) > most:
            piece, rest = piece.cut(most)
            pieces.appendleft(rest)
        most -= len(piece.values)
        taken.append(piece)
    return taken


def _batch(source: TopicPartition, taken: list[_Piece], left: deque[_Piece]) -> Batch:
    """One batch of pieces that join; `left` are those behind them."""
    sizes = [len(piece.values) for piece in taken]
    last = taken[-1].address + sizes[-1]
    rest_of_block = bool(left) and left[0].address == last
    topic = source.topic
    end = last if rest_of_block else address_of(topic, offset_of(topic, last - 1) + 1)
    columns = [piece.values for piece in taken if isinstance(piece.values, FrameColumn)]
    values: Sequence[bytes | None] = (
        FrameColumn.joined(columns)
        if columns
        else list(chain.from_iterable(piece.values for piece in taken))
    )
    return Batch(
        source,
        list(chain.from_iterable(range(p.address, p.address + len(p.values)) for p in taken)),
        _repeated([piece.key for piece in taken], sizes),
        values,
        _repeated([piece.timestamp for piece in taken], sizes),
        _repeated([piece.headers for piece in taken], sizes),
        end=end,
    )


def _repeated(each: list[T], sizes: list[int]) -> list[T]:
    """Each of a list so many times."""
    repeated: list[T] = []
    for one, size in zip(each, sizes, strict=True):
        repeated += [one] * size
    return repeated
