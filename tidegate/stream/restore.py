"""State as a fold of the log: from the newest usable snapshot, or from nothing, to the committed
position.
"""

from __future__ import annotations

import logging
from bisect import bisect_left
from collections.abc import Callable
from typing import Any

from tidegate.broker.ports import Consumer
from tidegate.broker.records import Batch, Position, TopicPartition
from tidegate.errors import ConfigError
from tidegate.messages.frames import frame_profile
from tidegate.stream import input_order as interleaving
from tidegate.stream import poison as isolate
from tidegate.stream.input_order import Pair
from tidegate.stream.partition import Mark, Part, Step
from tidegate.stream.side_topic import SideLog, read_range
from tidegate.stream.snapshot import DamagedSnapshotError, Snapshots
from tidegate.stream.stage import NoState, Stage

_LOG = logging.getLogger(__name__)


class Restorer:
    """Makes and moves the parts of one stage. `reader` is a consumer of its own, without a
    group.
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
    ) -> None:
        self._stage, self._reader, self._side, self._snapshots = stage, reader, side, snapshots
        self._partitions, self._tag, self._batch = partitions, tag, batch

    def fresh(self, source: TopicPartition, position: Position | None) -> Part:
        """The part by the newest usable snapshot not after the position, else empty where its fold
        has to begin.
        """
        if not self._stage.snapshot_tag:
            return Part(
                source, NoState(), position.offset if position else self._reader.bounds(source)[0]
            )
        begin = max(0, position.offset - self._stage.reach) if position and self._stage.reach else 0
        for offset in (
            self._snapshots.offsets(self._stage.name, self._tag, source.partition)
            if self._snapshots
            else []
        ):
            if (
                position
                and begin <= offset <= position.offset
                and (part := self._load(source, offset))
            ):
                return part
        start = max(begin, self._reader.bounds(source)[0])
        if start > begin and position:
            _LOG.warning(
                "%s/%d: no snapshot, and the log begins at %d: what came before is not in the "
                "state",
                *source,
                start,
            )
        return Part(source, self._stage.new_state(source.partition, self._partitions), start)

    def _load(self, source: TopicPartition, offset: int) -> Part | None:
        assert self._snapshots  # noqa: S101 - only called with them
        where = self._stage.name, self._tag, source.partition, offset
        try:
            found = self._snapshots.load(*where)
            state = self._stage.load_state(source.partition, self._partitions, found.arrays)
        except (OSError, DamagedSnapshotError, ConfigError) as error:
            _LOG.warning("snapshot %s of %s/%d is not used: %s", offset, *source, error)
            if isinstance(error, DamagedSnapshotError):
                self._snapshots.set_aside(*where)
            return None
        return Part(source, state, found.offset, found.side, kept=[Mark(found.offset, found.side)])

    def catch_up(self, part: Part, position: Position) -> None:
        """Apply the input up to the committed position without emitting, side records where the
        note says.

        Raises Retry; the part is then as far as it came, and a second call goes on.
        """
        pairs = interleaving.decode(position.note)
        if not self._stage.snapshot_tag:
            part.offset = position.offset
            return
        for batch in read_range(
            self._reader, part.source, part.offset, position.offset, self._batch
        ):
            self._replay(part, batch, pairs)
        part.pairs, part.offset = pairs, position.offset

    def _own(self, batch: Batch) -> Batch:
        """Less the frames of other profile versions: those were committed by their own processes,
        into their state.
        """
        mine = self._stage.snapshot_tag[:8].encode()
        keep = [i for i, value in enumerate(batch.values) if frame_profile(value) in (None, mine)]
        if len(keep) == len(batch):
            return batch

        def cut(column: list[Any]) -> list[Any]:
            return [column[i] for i in keep]

        return Batch(
            batch.source,
            cut(batch.offsets),
            cut(batch.keys),
            cut(batch.values),
            cut(batch.timestamps),
            cut(batch.headers),
            batch.received_us,
        )

    def _replay(self, part: Part, batch: Batch, pairs: list[Pair]) -> None:
        batch = self._own(batch)
        while len(batch):
            due = [
                pair
                for pair in interleaving.after(pairs, part.side)
                if pair.offset <= batch.offsets[0]
            ]
            later = [pair.offset for pair in pairs if pair.offset > batch.offsets[0]]
            stop = bisect_left(batch.offsets, later[0]) if later else len(batch)
            self.apply(
                part, batch.part(0, stop), due[-1].side if due else part.side, part.pairs
            ).commit()
            batch = batch.part(stop, len(batch))

    def apply(self, part: Part, batch: Batch, side: int, pairs: list[Pair]) -> Step:
        """Process a batch after absorbing the side records before `side`; the part's state is left
        begun.
        """
        results = isolate.process(self._stage, part.state, batch, self._absorb(part, side))
        return Step(part, side, pairs, results, batch.next_offset)

    def _absorb(self, part: Part, side: int) -> Callable[[], None]:
        def absorb() -> None:
            if self._side is not None and side > part.side:
                for batch in self._side.read(part.side, side):
                    self._stage.absorb(part.state, batch)

        return absorb
