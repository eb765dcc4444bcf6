"""The partitions that a member of the group holds.

They are restored after a rebalance or a failure, and paused while something is away. One whose
records are rejects, too many of them, is held alone.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Container, Iterable
from contextlib import suppress
from typing import Any

from tidegate import metrics
from tidegate.broker.ports import Consumer
from tidegate.broker.records import TopicPartition
from tidegate.errors import Retry, Unfinished
from tidegate.messages.heartbeats import Restoring
from tidegate.stream.away import Away
from tidegate.stream.membership import Membership
from tidegate.stream.partition import Hold, Partition
from tidegate.stream.positions import Positions
from tidegate.stream.restoration import Restoration
from tidegate.stream.side_topic import SideFeed, SideLog
from tidegate.stream.stage import Stage

_LOG = logging.getLogger(__name__)
_SECOND = 1_000_000
_FIRST_DELAY_US, _LONGEST_DELAY_US = 20_000, 5 * _SECOND
_MOST_DOUBLINGS = 10
_LOOK_AGAIN_US = 5 * _SECOND
"""How often a position that the log does not have is looked at again: a broker that has just taken
over may not know the end of its log yet.
"""


class Assignment:
    """What is assigned, and whether it is being served.

    A partition that was just assigned, or whose batch was not written, is unpositioned until
    `resume` has asked the sink where to go on. `clock` gives us and is never set; a partition that
    is held is tried again after `hold_seconds`.
    """

    def __init__(
        self,
        stage: Stage[Any],
        consumer: Consumer,
        positions: Positions,
        restoration: Restoration,
        side: SideLog | SideFeed | None,
        clock: Callable[[], int],
        hold_seconds: float,
    ) -> None:
        self._stage, self._consumer, self._positions = stage, consumer, positions
        self._restoration = restoration
        self._side, self._clock = side, clock
        self._membership = Membership(stage.name, stage.input, consumer, clock)
        self._hold_us = int(hold_seconds * _SECOND)
        self._held: dict[TopicPartition, int] = {}
        self._lost: dict[TopicPartition, Hold] = {}
        self._away = Away(stage.name, clock)
        self._partitions: dict[TopicPartition, Partition] = {}
        self._unpositioned: set[TopicPartition] = set()
        self._assigned = False
        self._paused = False
        self._wait_until_us = 0
        self._failures = 0
        self._restore_from_us = 0

    def join(self) -> None:
        """Become a member of the group."""
        self._consumer.subscribe(self._stage.input, self._on_assign, self._on_revoke)
        self._membership.lacks()

    @property
    def ready(self) -> bool:
        """Whether every assigned partition is being served."""
        return self._assigned and not self._unpositioned and not self._restoration

    @property
    def restoring(self) -> bool:
        """Whether a partition catches up: then the loop has better to do than wait for records."""
        return self._restoration.busy and self._clock() >= self._restore_from_us

    @property
    def partitions(self) -> list[Partition]:
        """All that have a state, also while they wait to be positioned again."""
        return [*self._partitions.values(), *self._restoration.partitions]

    @property
    def progress(self) -> list[Restoring]:
        """How far the partitions are that catch up."""
        return self._restoration.progress

    @property
    def settled(self) -> list[Partition]:
        """Those whose state is at their committed position, in order."""
        return [
            partition
            for source, partition in sorted(self._partitions.items())
            if source not in self._unpositioned
        ]

    @property
    def holds(self) -> dict[TopicPartition, Hold]:
        """The partitions that do not go on by themselves, and why."""
        rejecting = {
            source: partition.hold
            for source, partition in self._partitions.items()
            if partition.hold is not None
        }
        return rejecting | self._lost

    def look_again(self, sources: Iterable[TopicPartition]) -> None:
        """The log did not have the next offset of these: find out why."""
        self._unpositioned.update(source for source in sources if self.serving(source) is not None)

    def serving(self, source: TopicPartition) -> Partition | None:
        """The partition, if its records may be processed now."""
        if source in self._unpositioned or source in self._held:
            return None
        return self._partitions.get(source)

    def _on_assign(self, sources: list[TopicPartition]) -> dict[TopicPartition, int]:
        self._membership.has()
        self._restoration.keep_only(sources)
        self._unpositioned = set(sources)
        self._assigned = self._paused = True
        self._wait_until_us = self._restore_from_us = 0
        return {}

    def _on_revoke(self, sources: list[TopicPartition]) -> None:
        for source in sources:
            self._restoration.park(source, self._partitions.pop(source, None))
            self._held.pop(source, None)
            self._lost.pop(source, None)
            self._away.back(source)
            self._unpositioned.discard(source)
        self._assigned = False
        self._membership.lacks()
        metrics.READY.labels(self._stage.name).set(0)

    def turn(self) -> None:
        """Position what is assigned or was rewound, and let it catch up for a slice of time.

        After a pause or a failure, once that is over. Raises Broken when the group has forgotten
        this member.
        """
        self._membership.check()
        now = self._clock()
        if now >= self._wait_until_us:
            self._go_on()
        if now >= self._restore_from_us:
            self._restore()

    def _go_on(self) -> None:
        try:
            if isinstance(self._side, SideFeed) and self._paused:
                self._side.follow()
            self._try_held()
            self._position()
        except Retry as error:
            self.back_off(error)
            return
        if self._paused:
            self._paused = False
            self._consumer.resume([p.source for p in self.settled if p.source not in self._held])

    def _position(self) -> None:
        """Ask the sink where each unpositioned partition goes on, and let it get there.

        One whose log does not answer stays unpositioned; its neighbours go on.
        """
        known = self._restoration.parked | self._partitions
        asked = sorted(source for source in self._unpositioned if self._away.due(source))
        found = self._positions.find(asked, known)
        for source, error in found.away.items():
            self._consumer.pause([source])
            self._away.add(source, error)
        for source, position in found.positions.items():
            self._away.back(source)
            self._lost.pop(source, None)
            self._restoration.begin(source, position, self._partitions.pop(source, None))
        for source, hold in found.lost.items():
            self._away.back(source)
            self._hold_lost(source, hold)
        self._unpositioned.difference_update(found.positions, found.lost)

    def _hold_lost(self, source: TopicPartition, hold: Hold) -> None:
        """The log does not have what comes next: hand out nothing until that is accepted."""
        if self._lost.get(source) != hold:
            _LOG.error(
                "stage %s: %s; `tidegate skip %s --partition %d --accept-loss` goes on without",
                self._stage.name,
                hold.why(source),
                self._stage.name,
                source.partition,
            )
        self._lost[source] = hold
        self._consumer.pause([source])
        self._held[source] = self._clock() + _LOOK_AGAIN_US

    def _restore(self) -> None:
        """One slice; what has arrived is served, while others still catch up."""
        with suppress(Unfinished):
            self._restoration.turn()
        try:
            arrived = self._restoration.arrived
            if arrived and self._follow_side(min(partition.side for partition in arrived)):
                for partition in arrived:
                    self._serve(partition)
        except Retry as error:
            delay = self._delay()
            self._restore_from_us = self._clock() + delay
            _LOG.warning("stage %s restores on in %.2f s: %s", self._stage.name, delay / 1e6, error)

    def _follow_side(self, start: int) -> bool:
        """Whether the side topic is read to its end."""
        return not isinstance(self._side, SideLog) or self._side.follow(start)

    def _serve(self, partition: Partition) -> None:
        source = partition.source
        self._consumer.seek(source, partition.offset)
        self._partitions[source] = partition
        self._restoration.served(partition)
        if not self._paused and source not in self._held:
            self._consumer.resume([source])

    def _try_held(self) -> None:
        """Let partitions whose time has come read the batch again for which they are held."""
        now = self._clock()
        for source in [source for source, due in self._held.items() if now >= due]:
            if source in self._lost:
                self._unpositioned.add(source)
            elif source in self._partitions:
                self._consumer.seek(source, self._partitions[source].offset)
                self._consumer.resume([source])
            del self._held[source]

    def hold(self, partition: Partition, hold: Hold) -> None:
        """Hand out no records of this partition for a while; its neighbours go on."""
        if partition.hold is None:
            _LOG.error("stage %s: %s", self._stage.name, hold.why(partition.source))
        partition.hold = hold
        self._consumer.pause([partition.source])
        self._held[partition.source] = self._clock() + self._hold_us

    def try_at_once(self, released: Container[TopicPartition]) -> None:
        """Held partitions among these are tried again without waiting."""
        for source in self._held:
            if source in released:
                self._held[source] = 0

    def rewind(self, sources: Iterable[TopicPartition], error: Retry) -> None:
        """The batches of these partitions were not written: read them again after a while."""
        self._unpositioned.update(sources)
        self.back_off(error)

    def committed(self) -> None:
        """A batch was written: the next failure waits as long as a first one."""
        self._failures = 0

    def back_off(self, error: Retry) -> None:
        """Pause everything for a while; polling goes on, so that the group keeps this member."""
        if isinstance(error, Unfinished):
            self.pause(0)
            return
        delay = self._delay()
        self.pause(delay)
        _LOG.warning("stage %s waits %.2f s: %s", self._stage.name, delay / _SECOND, error)

    def _delay(self) -> int:
        """How long to wait after a failure, us: twice as long as after the one before."""
        doublings = min(self._failures, _MOST_DOUBLINGS)
        self._failures += 1
        metrics.RETRIES.labels(self._stage.name).inc()
        return min(_LONGEST_DELAY_US, _FIRST_DELAY_US << doublings)

    def pause(self, delay_us: int) -> None:
        """Hand out no records until then."""
        self._consumer.pause(sorted(self._unpositioned.union(self._partitions)))
        self._paused = True
        self._wait_until_us = self._clock() + delay_us
