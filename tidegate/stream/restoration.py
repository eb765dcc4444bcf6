"""Partitions on their way to their committed positions: a slice of work each turn of the loop.

The group is polled between two slices, so a restore of whatever length costs no membership.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator

from tidegate import metrics
from tidegate.broker.addresses import messages
from tidegate.broker.records import Position, TopicPartition
from tidegate.errors import Retry, Unfinished
from tidegate.messages.heartbeats import Restoring
from tidegate.stream.away import Away
from tidegate.stream.partition import Partition
from tidegate.stream.restore import Restorer
from tidegate.stream.snapshotter import Snapshotter

_LOG = logging.getLogger(__name__)
_SECOND = 1_000_000
SLICE_US = _SECOND // 4
"""How long one turn may restore; it ends with the batch in which that time is over."""
_SAY_US = 10 * _SECOND
SNAPSHOT_US = 10 * _SECOND
"""Least time between two snapshots on the way: copying a large state takes as long as some hundred
thousand records."""
_UNKNOWN = -1


class CatchUp:
    """One partition, from what there is of it to its committed position. `clock` gives us."""

    def __init__(
        self,
        restorer: Restorer,
        source: TopicPartition,
        position: Position,
        partition: Partition | None,
        clock: Callable[[], int],
    ) -> None:
        self.source, self.position, self.partition = source, position, partition
        self._restorer, self._clock = restorer, clock
        self._running: Iterator[None] | None = None
        self._began_us = clock()
        self._from = partition.offset if partition else _UNKNOWN

    def step(self) -> bool:
        """Load, or apply one batch; whether it has arrived. Raises Retry; then call again."""
        running, self._running = self._running or self._steps(), None
        for _ in running:
            self._running = running
            return False
        return True

    def suspend(self) -> None:
        """Another one needs the reader; the next step goes on from here."""
        self._running = None

    def _steps(self) -> Iterator[None]:
        if self.partition is None:
            self.partition = self._restorer.load(self.source, self.position)
            self._from, self._began_us = self.partition.offset, self._clock()
            yield
        yield from self._restorer.catch_up(self.partition, self.position)

    @property
    def left(self) -> int:
        """How many messages are still to be applied; -1 while that is not known."""
        if self.partition is None:
            return _UNKNOWN
        left = max(0, self.position.offset - self.partition.offset)
        return messages(self.source.topic, left)

    @property
    def seconds(self) -> float:
        """How long it has been under way."""
        return (self._clock() - self._began_us) / _SECOND

    @property
    def progress(self) -> Restoring:
        """For people."""
        number = self.source.partition
        if self.partition is None:
            return Restoring(number, 0.0, _UNKNOWN, _UNKNOWN)
        done = messages(self.source.topic, self.partition.offset - self._from)
        left = self.left
        share = done / (done + left) if done + left else 1.0
        seconds = left * self.seconds / done if done else float(_UNKNOWN)
        return Restoring(number, round(share, 4), left, round(seconds, 1))


class Restoration:
    """The partitions that catch up, the one with the least to do first.

    What was taken away is `parked`, and goes on from there when it is given back. `snapshotter`
    takes snapshots on the way; `clock` gives us and is never set.
    """

    def __init__(
        self,
        stage: str,
        restorer: Restorer,
        snapshotter: Snapshotter | None,
        clock: Callable[[], int],
    ) -> None:
        self._stage, self._restorer, self._snapshotter = stage, restorer, snapshotter
        self._clock = clock
        self._going: dict[TopicPartition, CatchUp] = {}
        self._arrived: dict[TopicPartition, Partition] = {}
        self.parked: dict[TopicPartition, Partition] = {}
        self._active: CatchUp | None = None
        self._away = Away(stage, clock)
        self._say_us = clock() + _SAY_US
        self._snapshot_us = 0

    def __bool__(self) -> bool:
        return bool(self._going or self._arrived)

    @property
    def busy(self) -> bool:
        """Whether there is something to do now."""
        return bool(self._arrived) or self._choose() is not None

    @property
    def partitions(self) -> list[Partition]:
        """Those under way that have a state; it is committed, at their offset."""
        under_way = [each.partition for each in self._going.values() if each.partition is not None]
        return [*self._arrived.values(), *under_way]

    @property
    def arrived(self) -> list[Partition]:
        """Those at their position, until they are served."""
        return [self._arrived[source] for source in sorted(self._arrived)]

    @property
    def progress(self) -> list[Restoring]:
        """How far each of them is, by partition."""
        return [self._going[source].progress for source in sorted(self._going)]

    def begin(
        self, source: TopicPartition, position: Position, partition: Partition | None
    ) -> None:
        """Bring a partition to its position, from its state or what is parked if that fits."""
        parked = self.parked.pop(source, None)
        if partition is None and parked is not None and self._restorer.goes_on(parked, position):
            partition = parked
        elif partition is not None and not self._restorer.lies_before(partition, position):
            partition = None
        self._pause_active()
        self._going[source] = CatchUp(self._restorer, source, position, partition, self._clock)

    def turn(self) -> None:
        """One slice: what arrives in it is in `arrived`. Raises Unfinished.

        One whose log does not answer lets the others go first.
        """
        until = self._clock() + SLICE_US
        while (catch_up := self._choose()) is not None:
            self._active = catch_up
            try:
                self._step(catch_up)
            except Unfinished:
                raise
            except Retry as error:
                self._away.add(catch_up.source, error)
                self._active = None
            self._say()
            if self._clock() >= until:
                return

    def _step(self, catch_up: CatchUp) -> None:
        """A batch of one. Raises Retry."""
        if catch_up.step():
            self._arrive(catch_up)
        else:
            self._away.back(catch_up.source)
            self._save(catch_up)

    def served(self, partition: Partition) -> None:
        """It is served now, and no business of this class any more."""
        del self._arrived[partition.source]

    def park(self, source: TopicPartition, partition: Partition | None) -> None:
        """A partition is taken away: keep what there is of it, in case it is given back.

        Its state has no open batch.
        """
        self._pause_active()
        self._away.back(source)
        catch_up = self._going.pop(source, None)
        partition = partition or self._arrived.pop(source, None)
        if catch_up is not None:
            partition = catch_up.partition
        if partition is not None:
            self.parked[source] = partition.parked()

    def keep_only(self, assigned: Iterable[TopicPartition]) -> None:
        """Forget the parked partitions that were not given back."""
        wanted = set(assigned)
        self.parked = {
            source: partition for source, partition in self.parked.items() if source in wanted
        }

    def _choose(self) -> CatchUp | None:
        """The one under way; else the one with the least to do, those not yet loaded last."""
        return self._active or min(
            (each for each in self._going.values() if self._away.due(each.source)),
            key=lambda each: (each.left == _UNKNOWN, each.left),
            default=None,
        )

    def _pause_active(self) -> None:
        """There is one reader: whoever is chosen next starts it anew."""
        if self._active is not None:
            self._active.suspend()
            self._active = None

    def _arrive(self, catch_up: CatchUp) -> None:
        assert catch_up.partition is not None  # noqa: S101 - it has arrived
        del self._going[catch_up.source]
        self._away.back(catch_up.source)
        self._active = None
        self._arrived[catch_up.source] = catch_up.partition
        metrics.RESTORE_SECONDS.labels(self._stage).set(catch_up.seconds)

    def _save(self, catch_up: CatchUp) -> None:
        if self._snapshotter is None or catch_up.partition is None:
            return
        now = self._clock()
        if now >= self._snapshot_us and self._snapshotter.consider(catch_up.partition):
            self._snapshot_us = now + SNAPSHOT_US

    def _say(self) -> None:
        now = self._clock()
        if now < self._say_us:
            return
        self._say_us = now + _SAY_US
        for progress in self.progress:
            _LOG.info("stage %s: %s", self._stage, progress)
