"""What a runner tells of itself: its metrics, and the progress that heartbeats carry."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from tidegate import metrics
from tidegate.broker.addresses import has_blocks, messages
from tidegate.broker.ports import Consumer
from tidegate.broker.records import TopicPartition
from tidegate.messages.heartbeats import Held, Restoring
from tidegate.stream.partition import Hold, Partition, ProcessedBatch
from tidegate.stream.pulse import LATE_SECONDS, Pulse

_SECOND = 1_000_000


@dataclass(slots=True)
class Progress:
    """How far a runner is; `restored` says that all assigned partitions are restored, `restoring`
    which are not, and `held` which do not go on because of their rejects.

    `batch` is how many records the newest transaction had, `side_lag` how many records of the side
    topic are still to be absorbed. `pulse` says when its loop turned last.
    """

    partitions: list[int]
    restored: bool = False
    lag: int = 0
    processed: int = 0
    rejected: int = 0
    batch: int = 0
    side_lag: int = 0
    held: list[Held] = field(default_factory=list)
    restoring: list[Restoring] = field(default_factory=list)
    pulse: Pulse = field(default_factory=Pulse)

    @property
    def ready(self) -> bool:
        """Whether all is served now: by a loop that turns."""
        return self.restored and self.pulse.still_seconds < LATE_SECONDS

    @property
    def healthy(self) -> bool:
        """Whether the loop does not hang."""
        return self.pulse.still_seconds < self.pulse.hung_seconds


class Monitor:
    """Keeps metrics and progress of one stage. `clock` gives us and is never set."""

    def __init__(
        self, stage: str, consumer: Consumer, clock: Callable[[], int], pulse: Pulse
    ) -> None:
        self._stage, self._consumer, self._clock = stage, consumer, clock
        self._measured_us = 0
        self._measured: set[int] = set()
        self._shown_held: set[int] = set()
        self._shown_restoring: set[int] = set()
        self._density: dict[TopicPartition, float] = {}
        self.progress = Progress([], pulse=pulse)

    def count(self, batches: Sequence[ProcessedBatch], seconds: float) -> int:
        """Batches are committed; the number of their records."""
        records = sum(len(processed.batch) for processed in batches)
        metrics.PROCESSED.labels(self._stage).inc(records)
        metrics.BATCH_SIZE.labels(self._stage).observe(records)
        metrics.STAGE_SECONDS.labels(self._stage).observe(seconds)
        self.progress.processed += records
        self.progress.batch = records
        for processed in batches:
            self._note_density(processed)
            for reason in processed.reject_reasons:
                metrics.REJECTED.labels(self._stage, reason).inc()
                self.progress.rejected += 1
            for kind, passed in processed.passed:
                metrics.PASSED.labels(self._stage, kind).inc(passed)
        return records

    def _note_density(self, processed: ProcessedBatch) -> None:
        """Records to a message, of messages of late; transactions' markers count as messages."""
        batch, source = processed.batch, processed.batch.source
        if has_blocks(source.topic):
            span = messages(source.topic, batch.next_offset - batch.offsets[0])
            now = len(batch) / max(1, span)
            self._density[source] = 0.8 * self._density.get(source, now) + 0.2 * now

    def measure(
        self,
        partitions: Iterable[Partition],
        *,
        holds: Mapping[TopicPartition, Hold],
        ready: bool,
        restoring: Sequence[Restoring],
        side_end: int | None,
    ) -> None:
        """Once a second, and when readiness or what is held changes: lag, readiness, holds.

        `side_end` is where the side topic ends that the states absorb, if they absorb one.
        """
        now, served = self._clock(), sorted(partitions, key=lambda partition: partition.source)
        held = {source.partition for source in holds}
        same = ready == self.progress.restored and held == self._shown_held
        if same and now < self._measured_us + _SECOND:
            return
        self._measured_us = now
        numbers = {partition.source.partition for partition in served} | held
        self.progress.partitions = sorted(numbers)
        self.progress.lag = sum(self._lag(each, held=each.source in holds) for each in served)
        self._forget(self._measured - numbers)
        self._measured = numbers
        if side_end is not None:
            behind = max((side_end - partition.side for partition in served), default=0)
            self.progress.side_lag = max(0, behind)
            metrics.LABELS_LAG.labels(self._stage).set(self.progress.side_lag)
        self._show_unfolded(served)
        self.progress.restored = ready
        self._show_held(holds, held)
        self._show_restoring(restoring)
        metrics.READY.labels(self._stage).set(ready)
        metrics.ASSIGNED.labels(self._stage).set(len(numbers))

    def _forget(self, gone: Iterable[int]) -> None:
        """Partitions were taken away: whoever serves them now tells of them."""
        for partition in gone:
            for gauge in (metrics.LAG, metrics.ID_MEMORY, metrics.UNFOLDED, metrics.STATE_KEYS):
                with suppress(KeyError):  # one that was only held has none
                    gauge.remove(self._stage, str(partition))

    def _show_unfolded(self, served: Iterable[Partition]) -> None:
        """What states lack, for as long as they do."""
        for partition in served:
            number = str(partition.source.partition)
            metrics.UNFOLDED.labels(self._stage, number).set(partition.unfolded)

    def _show_held(self, holds: Mapping[TopicPartition, Hold], numbers: set[int]) -> None:
        """What is held, and 0 for what was held and is not any more, or is another's now."""
        lost = {source.partition: hold.lost for source, hold in holds.items()}
        for number in self._shown_held | numbers:
            metrics.HELD.labels(self._stage, str(number)).set(number in numbers)
            metrics.LOST.labels(self._stage, str(number)).set(lost.get(number, 0))
        self._shown_held = numbers
        self.progress.held = [
            Held(source.partition, *hold.in_messages(source.topic), list(hold.reasons), hold.lost)
            for source, hold in sorted(holds.items())
        ]

    def _show_restoring(self, restoring: Sequence[Restoring]) -> None:
        """How much is left to do, while there is something."""
        self.progress.restoring = list(restoring)
        now = {each.partition for each in restoring}
        for each in restoring:
            if each.left >= 0:
                metrics.RESTORE_RECORDS.labels(self._stage, str(each.partition)).set(each.left)
        for partition in self._shown_restoring - now:
            metrics.RESTORE_RECORDS.labels(self._stage, str(partition)).set(0)
        self._shown_restoring = now

    def _lag(self, partition: Partition, *, held: bool) -> int:
        """How many records the stage is behind the end of the log.

        What lies in messages that were not read yet is estimated by those that were read last.
        """
        end = self._consumer.end(partition.source) or 0
        position = self._consumer.position(partition.source) or 0
        if held:  # what was read and not committed is still to be done
            position = 0
        behind = max(0, end - max(position, partition.offset))
        density = self._density.get(partition.source, 1.0)
        lag = round(messages(partition.source.topic, behind) * density)
        metrics.LAG.labels(self._stage, str(partition.source.partition)).set(lag)
        return lag
