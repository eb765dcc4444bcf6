"""Takes snapshots while the stage goes on: copies at a committed offset, written by a thread."""

from __future__ import annotations

import logging
from concurrent.futures import Executor, Future

from tidegate.stream import input_order
from tidegate.stream.partition import Partition, SnapshotOffsets
from tidegate.stream.snapshot import Snapshot, Snapshots
from tidegate.stream.stage import Arrays, Incremental

_LOG = logging.getLogger(__name__)
_FEW_PAIRS = 100
"""The note of so many is short: it need not be written to know that."""


class Snapshotter:
    """At most one snapshot under way.

    A write that fails is logged and tried again when the next is due.
    """

    def __init__(
        self, snapshots: Snapshots, stage: str, tag: str, executor: Executor, every: int
    ) -> None:
        self._snapshots, self._stage, self._tag = snapshots, stage, tag
        self._executor, self._every = executor, every
        self._running: tuple[Future[None], Partition, Snapshot, int] | None = None

    def consider(self, partition: Partition) -> bool:
        """Begin one if it is due and none is under way. The partition's state must be committed."""
        self.harvest()
        if self._running is not None or not self._due(partition):
            return False
        self._begin(partition)
        return True

    def _due(self, partition: Partition) -> bool:
        """Whether many records, or many side records, have come since the newest snapshot."""
        return partition.unsaved >= self._every or _note_is_long(partition)

    def finish(self, partitions: list[Partition]) -> None:
        """Write a last snapshot of each partition that has moved since its newest."""
        for partition in partitions:
            self.harvest(wait=True)
            if not partition.snapshots or partition.snapshots[-1].offset < partition.offset:
                self._begin(partition)
        self.harvest(wait=True)

    def harvest(self, *, wait: bool = False) -> None:
        """Take note of a write that has ended."""
        if not self._running or not (wait or self._running[0].done()):
            return
        future, partition, snapshot, taken_in = self._running
        self._running = None
        try:
            future.result()
        except OSError as error:
            _LOG.warning(
                "snapshot of %s/%d at %d failed: %s", *partition.source, snapshot.offset, error
            )
        else:
            offsets = SnapshotOffsets(snapshot.offset, snapshot.side)
            partition.saved(offsets, whole=snapshot.after is None)
            partition.unsaved -= taken_in

    def _begin(self, partition: Partition) -> None:
        snapshot = _copy(partition)
        future = self._executor.submit(
            self._snapshots.save, self._stage, self._tag, partition.source.partition, snapshot
        )
        self._running = future, partition, snapshot, partition.unsaved


def _copy(partition: Partition) -> Snapshot:
    """A copy of the partition's state, or of what has changed after its newest durable snapshot."""
    state, changes = partition.state, _changes(partition)
    arrays = state.arrays() if changes is None else changes
    after = None if changes is None else partition.snapshots[-1].offset
    if isinstance(state, Incremental):
        state.mark(arrays, whole=changes is None)
        partition.copied = partition.offset
    return Snapshot(partition.offset, partition.side, arrays, after)


def _changes(partition: Partition) -> Arrays | None:
    """None where the changes are not those after a durable snapshot, or of another offset, and
    where the note is to become shorter: only a whole one lets it.
    """
    newest = partition.snapshots[-1].offset if partition.snapshots else None
    if newest is None or newest != partition.copied or newest == partition.offset:
        return None
    if _note_is_long(partition):
        return None
    return partition.state.changes() if isinstance(partition.state, Incremental) else None


def _note_is_long(partition: Partition) -> bool:
    return (
        len(partition.pairs) > _FEW_PAIRS
        and len(input_order.encode(partition.pairs)) > input_order.LONG
    )
