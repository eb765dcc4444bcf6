"""State as a fold of the log: from a snapshot, or from nothing, to the committed position."""

from __future__ import annotations

import logging
from bisect import bisect_left
from collections.abc import Callable, Iterator
from typing import Any

from tidegate.broker.addresses import messages, shown
from tidegate.broker.ports import Consumer
from tidegate.broker.records import Batch, Position, TopicPartition
from tidegate.errors import ConfigError, TidegateError
from tidegate.messages.frame_marks import of_others
from tidegate.stream import input_order, poison, waiting
from tidegate.stream.input_order import Pair
from tidegate.stream.partition import Partition, ProcessedBatch, SnapshotOffsets
from tidegate.stream.rejected import Rejected
from tidegate.stream.side_topic import MOST, SideLog, poll_range
from tidegate.stream.snapshot import DamagedSnapshotError, Snapshots
from tidegate.stream.sources import Sources
from tidegate.stream.stage import InNote, Replays, Stage, State

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
        self._rejected = Rejected(stage.name, reader)

    def load(self, source: TopicPartition, position: Position) -> Partition:
        """The partition as its newest usable snapshot has it, if that is not after the position.

        Without one it is empty, and begins where its fold has to.
        """
        if not self._stage.snapshot_tag:
            return self._empty(source, position.offset)
        begin = self._begin(position)
        for offset in self._snapshot_offsets(source):
            if begin <= offset <= position.offset:
                partition = self._from_snapshot(source, offset)
                if partition is not None:
                    return partition
        if begin < position.offset:
            _LOG.info(
                "%s/%d has no snapshot of this version: its state is folded anew, from %d to %d",
                *source,
                begin,
                position.offset,
            )
        return self._empty(source, begin)

    def lies_before(self, partition: Partition, position: Position) -> bool:
        """Whether a state of this process is one from which its fold leads to the position."""
        return self._begin(position) <= partition.offset <= position.offset

    def goes_on(self, parked: Partition, position: Position) -> bool:
        """Whether a state from before a rebalance is one too, though others wrote meanwhile.

        Their snapshots shorten the note: it need not say what came before the older of two.
        """
        return self.lies_before(parked, position) and not any(
            parked.offset < offset <= position.offset
            for offset in self._snapshot_offsets(parked.source)
        )

    def bounds(self, source: TopicPartition) -> tuple[int, int]:
        """The first offset that the log still has, and the one after its last. Raises Retry."""
        return self._reader.bounds(source)

    def forget_after(self, source: TopicPartition, offset: int) -> None:
        """Set aside the snapshots after an offset: they are of a log that is no more."""
        for later in self._snapshot_offsets(source):
            if later > offset and self._snapshots is not None:
                self._snapshots.set_aside(self._stage.name, self._tag, source.partition, later)

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
        folder, at = (self._stage.name, self._tag, source.partition), offset
        try:
            at, *later = self._snapshots.chain(*folder, offset)
            snapshot = self._snapshots.load(*folder, at)
            state = self._stage.load_state(source.partition, self._partitions, snapshot.arrays)
            for at in later:
                snapshot = self._snapshots.load(*folder, at)
                state.apply(snapshot.arrays)
                self._beat()
        except (OSError, DamagedSnapshotError, ConfigError) as error:
            _LOG.warning("snapshot %s of %s/%d is not used: %s", at, *source, error)
            if isinstance(error, DamagedSnapshotError):
                self._snapshots.set_aside(*folder, at)
            return None
        offsets = SnapshotOffsets(snapshot.offset, snapshot.side)
        return Partition(source, state, *offsets, snapshots=[offsets], copied=offset)

    def catch_up(self, partition: Partition, position: Position) -> Iterator[None]:
        """Apply the input up to the committed position without emitting, a batch at each step.

        Side records are absorbed where the note says. Between two steps the partition is a
        committed state at its offset. Raises Retry; another call goes on from there.
        """
        if not self._stage.snapshot_tag:
            if isinstance(partition.state, Sources):
                partition.state.restore(position.note)
            else:
                partition.waiting.restore(self._reader, partition.source, position.note)
                if isinstance(partition.state, InNote):
                    partition.state.from_note(waiting.kept(position.note), position.offset)
            partition.offset = position.offset
            return
        pairs = input_order.decode(position.note)
        self._begin_within_log(partition, position)
        if partition.offset < position.offset:
            for _ in self._rejected.read():
                self._beat()
                yield
        rejected = self._rejected.of(partition.source)
        for batch in poll_range(
            self._reader, partition.source, partition.offset, position.offset, self._batch
        ):
            self._beat()
            if batch is not None:
                self._look_for_gap(partition, batch)
                own = self._own(batch, rejected)
                yield from self._replay(partition, own, pairs, batch.offsets[-1])
                partition.offset = batch.next_offset
            yield
        partition.pairs = pairs
        partition.offset = position.offset

    def catch_up_whole(self, partition: Partition, position: Position) -> None:
        """`catch_up` in one call, where no group has to be polled meanwhile."""
        for _ in self.catch_up(partition, position):
            pass

    def _begin_within_log(self, partition: Partition, position: Position) -> None:
        """Pass over what the state should be made of, and the log no longer has."""
        first = min(self.bounds(partition.source)[0], position.offset)
        if first > partition.offset:
            self._tell_missing(partition, first)
            partition.offset = first

    def _look_for_gap(self, partition: Partition, batch: Batch) -> None:
        """Markers and aborted records leave gaps as well; only the log's own start tells."""
        if batch.offsets[0] > partition.offset:
            first = self.bounds(partition.source)[0]
            if first > partition.offset:
                self._tell_missing(partition, first)

    def _tell_missing(self, partition: Partition, first: int) -> None:
        topic, number = partition.source
        missing = messages(topic, first - partition.offset)
        _LOG.warning(
            "stage %s: %d records of %s/%d are not in its state: it is restored from offset %s, "
            "and the log begins at %s",
            self._stage.name,
            missing,
            topic,
            number,
            shown(topic, partition.offset),
            shown(topic, first),
        )
        partition.unfolded += missing

    def _own(self, batch: Batch, rejected: set[int]) -> Batch:
        """Without what is a dead letter, and without frames of other profile versions, whose own
        processes committed them.

        A stage's `also` is the hash of this one in the version of Tidegate before.
        """
        profile = self._stage.snapshot_tag[:8].encode()
        others = set(of_others(batch.values, (profile, getattr(self._stage, "also", profile))))
        if not others and not rejected:
            return batch
        own = [
            index
            for index, offset in enumerate(batch.offsets)
            if index not in others and offset not in rejected
        ]
        return batch if len(own) == len(batch) else batch.take(own)

    def _replay(
        self, partition: Partition, batch: Batch, pairs: list[Pair], last: int
    ) -> Iterator[None]:
        """Apply a batch in pieces: each ends where side records came between two inputs.

        `last` is the offset up to which it reaches, with what is left out at its end: side records
        may have come there.
        """
        while len(batch):
            first = batch.offsets[0]
            yield from self._absorb_due(partition, pairs, first)
            later = next((pair.offset for pair in pairs if pair.offset > first), None)
            stop = len(batch) if later is None else bisect_left(batch.offsets, later)
            self._fold_again(partition, batch.slice(0, stop))
            batch = batch.slice(stop, len(batch))
        yield from self._absorb_due(partition, pairs, last)

    def _absorb_due(self, partition: Partition, pairs: list[Pair], offset: int) -> Iterator[None]:
        """Absorb the side records that came before the input at an offset."""
        behind = input_order.after(pairs, partition.side)
        due = [pair.side for pair in behind if pair.offset <= offset]
        if due:
            yield from self._absorb_in_steps(partition, due[-1])

    def _absorb_in_steps(self, partition: Partition, side: int) -> Iterator[None]:
        """Absorb the side records before `side`: without a snapshot that may be years of them."""
        while partition.side < side:
            if self._side is not None:
                since_ms = self._stage.side_from(partition.state)
                partition.side = self._side.begin(partition.side, side, since_ms)
            until = min(side, partition.side + MOST)
            poison.begin(partition.state, self._absorb(partition, until))
            partition.state.commit()
            partition.side = until
            self._beat()
            yield

    def process(
        self, partition: Partition, batch: Batch, side: int, pairs: list[Pair]
    ) -> ProcessedBatch:
        """Absorb the side records before `side`, then process; the state is left begun."""
        results = poison.process(self._stage, partition.state, batch, self._absorb(partition, side))
        return ProcessedBatch(partition, batch, results, side, pairs)

    def _fold_again(self, partition: Partition, batch: Batch) -> None:
        """Process without outputs, where the stage can; the state is left committed."""
        stage, state = self._stage, partition.state
        replayed = isinstance(stage, Replays) and self._replayed(stage, state, batch)
        results = [] if replayed else poison.process(stage, state, batch, lambda: None)
        ProcessedBatch(partition, batch, results, partition.side, partition.pairs).commit()

    @staticmethod
    def _replayed(stage: Replays[Any], state: State, batch: Batch) -> bool:
        """Whether the batch could be folded in whole: then the state is left begun.

        Otherwise it is as it was before. A fold that succeeded cannot be undone, so the defect is
        not looked for in here.
        """
        state.begin()
        try:
            stage.replay(state, batch)
        except TidegateError:
            state.rollback()
            raise
        except Exception as error:  # noqa: BLE001 - any defect: `process` isolates the record
            kind = type(error).__name__  # its text may show what the record says
            _LOG.warning("a batch of %s/%d is processed anew: %s", *batch.source, kind)
            state.rollback()
            return False
        return True

    def _absorb(self, partition: Partition, side: int) -> Callable[[], None]:
        def absorb() -> None:
            if self._side is not None and side > partition.side:
                since_ms = self._stage.side_from(partition.state)
                start = self._side.begin(partition.side, side, since_ms)
                for batch in self._side.read(start, side):
                    self._beat()
                    self._stage.absorb(partition.state, batch)

        return absorb
