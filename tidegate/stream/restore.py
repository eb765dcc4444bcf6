"""State as a fold of the log: from a snapshot, or from nothing, to the committed position."""

from __future__ import annotations

import logging
from bisect import bisect_left
from collections.abc import Callable
from typing import Any

from tidegate.broker.ports import Consumer
from tidegate.broker.records import Batch, Position, TopicPartition
from tidegate.errors import ConfigError
from tidegate.messages.frames import frame_profile
from tidegate.stream import input_order, poison
from tidegate.stream.input_order import Pair
from tidegate.stream.partition import Partition, ProcessedBatch, SnapshotOffsets
from tidegate.stream.rejected import Rejected
from tidegate.stream.side_topic import SideLog, read_range
from tidegate.stream.snapshot import DamagedSnapshotError, Snapshots
from tidegate.stream.sources import Sources
from tidegate.stream.stage import Stage

_LOG = logging.getLogger(__name__)


class Restorer:
    """Restores the partitions of one stage, and processes their batches.

    `reader` is a consumer of its own, without a group; `tag` names the folder of the snapshots that
    fit the stage and its topics. `beat` is called for each batch that is read.
    """

    def __init__(
        self,
        stage: Stage[Any],
        reader: Consumer,
        side: SideLog | None,
        snapshots: Snapshots | None,
        *,
        partitions: int,
        tag: str,
        batch: int,
        beat: Callable[[], None] = lambda: None,
    ) -> None:
        self._stage, self._reader, self._side, self._snapshots = stage, reader, side, snapshots
        self._partitions, self._tag, self._batch = partitions, tag, batch
        self._beat = beat
        self._rejected = Rejected(stage.name, reader, beat)

    def load(self, source: TopicPartition, position: Position | None) -> Partition:
        """The partition as its newest usable snapshot has it, if that is not after the position.

        Without one it is empty, and begins where its fold has to.
        """
        if not self._stage.snapshot_tag:
            return self._empty(source, position.offset if position else self._first(source))
        if position is None:
            return self._empty(source, self._first(source))
        begin = self._begin(position)
        for offset in self._snapshot_offsets(source):
            if begin <= offset <= position.offset:
                partition = self._from_snapshot(source, offset)
                if partition is not None:
                    return partition
        first = self._first(source)
        if first > begin:
            _LOG.warning(
                "%s/%d: no snapshot, and the log begins at %d: what came before is not in the "
                "state",
                *source,
                first,
            )
        return self._empty(source, max(begin, first))

    def _first(self, source: TopicPartition) -> int:
        """The first offset that the log still has."""
        return self._reader.bounds(source)[0]

    def _begin(self, position: Position) -> int:
        """The first offset that the state at a position is made of."""
        return max(0, position.offset - self._stage.reach) if self._stage.reach else 0

    def _empty(self, source: TopicPartition, offset: int) -> Partition:
        state = self._stage.new_state(source.partition, self._partitions)
        return Partition(source, state, offset)

    def _snapshot_offsets(self, source: TopicPartition) -> list[int]:
        """Those of the partition's snapshots, newest first."""
        if self._snapshots is None:
            return []
        return self._snapshots.offsets(self._stage.name, self._tag, source.partition)

    def _from_snapshot(self, source: TopicPartition, offset: int) -> Partition | None:
        """None, and a line in the log, when the snapshot cannot be used."""
        assert self._snapshots  # noqa: S101 - only called with them
        place = self._stage.name, self._tag, source.partition, offset
        try:
            snapshot = self._snapshots.load(*place)
            state = self._stage.load_state(source.partition, self._partitions, snapshot.arrays)
        except (OSError, DamagedSnapshotError, ConfigError) as error:
            _LOG.warning("snapshot %s of %s/%d is not used: %s", offset, *source, error)
            if isinstance(error, DamagedSnapshotError):
                self._snapshots.set_aside(*place)
            return None
        offsets = SnapshotOffsets(snapshot.offset, snapshot.side)
        return Partition(source, state, *offsets, snapshots=[offsets])

    def catch_up(self, partition: Partition, position: Position) -> None:
        """Apply the input up to the committed position without emitting.

        Side records are absorbed where the note says.

        Raises Retry; the partition is then as far as it came, and a second call goes on.
        """
        if not self._stage.snapshot_tag:
            if isinstance(partition.state, Sources):
                partition.state.restore(position.note)
            else:
                partition.waiting.restore(self._reader, partition.source, position.note)
            partition.offset = position.offset
            return
        pairs = input_order.decode(position.note)
        behind = partition.offset < position.offset
        rejected = self._rejected.of(partition.source) if behind else set[int]()
        for batch in read_range(
            self._reader, partition.source, partition.offset, position.offset, self._batch
        ):
            self._beat()
            self._replay(partition, self._own(batch, rejected), pairs)
        partition.pairs = pairs
        partition.offset = position.offset

    def _own(self, batch: Batch, rejected: set[int]) -> Batch:
        """Without what is a dead letter, and without frames of other profile versions, whose own
        processes committed them.
        """
        profile = self._stage.snapshot_tag[:8].encode()
        own = [
            i
            for i, value in enumerate(batch.values)
            if frame_profile(value) in (None, profile) and batch.offsets[i] not in rejected
        ]
        return batch if len(own) == len(batch) else batch.take(own)

    def _replay(self, partition: Partition, batch: Batch, pairs: list[Pair]) -> None:
        """Apply a batch in pieces: each ends where side records came between two inputs."""
        while len(batch):
            first = batch.offsets[0]
            due = [
                pair.side
                for pair in input_order.after(pairs, partition.side)
                if pair.offset <= first
            ]
            side = due[-1] if due else partition.side
            later = next((pair.offset for pair in pairs if pair.offset > first), None)
            stop = len(batch) if later is None else bisect_left(batch.offsets, later)
            self.process(partition, batch.slice(0, stop), side, partition.pairs).commit()
            batch = batch.slice(stop, len(batch))

    def process(
        self, partition: Partition, batch: Batch, side: int, pairs: list[Pair]
    ) -> ProcessedBatch:
        """Absorb the side records before `side`, then process; the state is left begun."""
        results = poison.process(self._stage, partition.state, batch, self._absorb(partition, side))
        return ProcessedBatch(partition, batch, results, side, pairs)

    def _absorb(self, partition: Partition, side: int) -> Callable[[], None]:
        def absorb() -> None:
            if self._side is not None and side > partition.side:
                for batch in self._side.read(partition.side, side):
                    self._stage.absorb(partition.state, batch)

        return absorb
