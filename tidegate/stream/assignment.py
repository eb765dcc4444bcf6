"""The partitions that a member of the group holds.

They are restored after a rebalance or a failure, and paused while something is away. One whose
records are rejects, too many of them, is held alone.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Container, Iterable
from typing import Any

from tidegate import metrics
from tidegate.broker.ports import Consumer
from tidegate.broker.records import TopicPartition
from tidegate.errors import Retry, Unfinished
from tidegate.stream.partition import Hold, Partition
from tidegate.stream.restore import Restorer
from tidegate.stream.side_topic import SideFeed, SideLog
from tidegate.stream.sink import Sink
from tidegate.stream.stage import Stage

_LOG = logging.getLogger(__name__)
_SECOND = 1_000_000
_FIRST_DELAY_US, _LONGEST_DELAY_US = 20_000, 5 * _SECOND
_MOST_DOUBLINGS = 10


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
        sink: Sink,
        restorer: Restorer,
        side: SideLog | SideFeed | None,
        clock: Callable[[], int],
        hold_seconds: float,
    ) -> None:
        self._stage, self._consumer, self._sink, self._restorer = stage, consumer, sink, restorer
        self._side, self._clock = side, clock
        self._hold_us = int(hold_seconds * _SECOND)
        self._held: dict[TopicPartition, int] = {}
        self._partitions: dict[TopicPartition, Partition] = {}
        self._unpositioned: set[TopicPartition] = set()
        self._assigned = False
        self._paused = False
        self._wait_until_us = 0
        self._failures = 0

    def join(self) -> None:
        """Become a member of the group."""
        self._consumer.subscribe(self._stage.input, self._on_assign, self._on_revoke)

    @property
    def ready(self) -> bool:
        """Whether every assigned partition is being served."""
        return self._assigned and not self._unpositioned

    @property
    def partitions(self) -> list[Partition]:
        """All that have a state, also while they wait to be positioned again."""
        return list(self._partitions.values())

    @property
    def settled(self) -> list[Partition]:
        """Those whose state is at their committed position, in order."""
        return [
            partition
            for source, partition in sorted(self._partitions.items())
            if source not in self._unpositioned
        ]

    def serving(self, source: TopicPartition) -> Partition | None:
        """The partition, if its records may be processed now."""
        if source in self._unpositioned or source in self._held:
            return None
        return self._partitions.get(source)

    def _on_assign(self, sources: list[TopicPartition]) -> dict[TopicPartition, int]:
        self._partitions.clear()
        self._held.clear()
        self._unpositioned = set(sources)
        self._assigned = self._paused = True
        self._wait_until_us = 0
        return {}

    def _on_revoke(self, sources: list[TopicPartition]) -> None:
        for source in sources:
            self._partitions.pop(source, None)
            self._held.pop(source, None)
            self._unpositioned.discard(source)
        self._assigned = False
        metrics.READY.labels(self._stage.name).set(0)

    def resume_when_due(self) -> None:
        """After a pause, position what is assigned or was rewound, and go on.

        Waits longer after a failure.
        """
        if self._paused:
            if self._clock() < self._wait_until_us:
                return
            self._go_on()
        if not self._paused:
            self._try_held()

    def _go_on(self) -> None:
        started = time.monotonic()
        try:
            self._position()
        except Retry as error:
            self.back_off(error)
            return
        if self._partitions:
            metrics.RESTORE_SECONDS.labels(self._stage.name).set(time.monotonic() - started)
        self._consumer.resume([source for source in self._partitions if source not in self._held])
        self._paused = False

    def _position(self) -> None:
        """Bring every unpositioned partition, and the side topic, to where the sink says."""
        if isinstance(self._side, SideFeed):
            self._side.follow()
        sources = sorted(self._unpositioned)
        positions = self._sink.positions(sources) if sources else {}
        for source in sources:
            position, partition = positions.get(source), self._partitions.get(source)
            if partition is None or (position and position.offset < partition.offset):
                partition = self._partitions[source] = self._restorer.load(source, position)
            if position is not None:
                self._restorer.catch_up(partition, position)
            self._consumer.seek(source, partition.offset)
        if isinstance(self._side, SideLog) and self._partitions:
            self._side.follow(min(partition.side for partition in self._partitions.values()))
        self._unpositioned.clear()

    def _try_held(self) -> None:
        """Let partitions whose time has come read the batch again for which they are held."""
        now = self._clock()
        for source in [source for source, due in self._held.items() if now >= due]:
            try:
                self._consumer.seek(source, self._partitions[source].offset)
            except Retry as error:
                self.back_off(error)
                return
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
        doublings = min(self._failures, _MOST_DOUBLINGS)
        delay = min(_LONGEST_DELAY_US, _FIRST_DELAY_US << doublings)
        self._failures += 1
        self.pause(delay)
        metrics.RETRIES.labels(self._stage.name).inc()
        _LOG.warning("stage %s waits %.2f s: %s", self._stage.name, delay / _SECOND, error)

    def pause(self, delay_us: int) -> None:
        """Hand out no records until then."""
        self._consumer.pause(sorted(self._unpositioned.union(self._partitions)))
        self._paused = True
        self._wait_until_us = self._clock() + delay_us
