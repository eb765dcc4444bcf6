"""The one loop: poll, process, write outputs and positions together, commit the states."""

from __future__ import annotations

import logging
import threading
import time
from bisect import bisect_left
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import Any

from tidegate.broker.addresses import has_blocks
from tidegate.broker.ports import Broker, Consumer
from tidegate.broker.records import Batch, TopicPartition
from tidegate.clock import monotonic_us, now_us
from tidegate.errors import Retry
from tidegate.stream import input_order
from tidegate.stream.assignment import Assignment
from tidegate.stream.garbage import collecting_between_batches
from tidegate.stream.identity import identify
from tidegate.stream.input_order import Pair
from tidegate.stream.log_time import LogTime
from tidegate.stream.pace import rest_seconds
from tidegate.stream.partition import Partition, ProcessedBatch
from tidegate.stream.positions import Positions
from tidegate.stream.progress import Monitor, Progress
from tidegate.stream.pulse import Pulse
from tidegate.stream.restoration import Restoration
from tidegate.stream.restore import Restorer
from tidegate.stream.side_input import side_input
from tidegate.stream.side_topic import SideLog
from tidegate.stream.sink import Sink
from tidegate.stream.skips import Skips
from tidegate.stream.snapshot import Snapshots
from tidegate.stream.snapshotter import Snapshotter
from tidegate.stream.stage import Stage

_LOG = logging.getLogger(__name__)
_SECOND = 1_000_000
_POLL_SECONDS = 0.1
_SPAN_PAUSE_US = 250_000
"""How long a partition rests whose oldest record that waits is too far behind."""


class Runner:
    """Runs one stage. `consumer` is a member of the stage's group, and closed by the runner.

    `batch`: most records of one transaction. `snapshot_every`: records of a partition between two
    snapshots. `side_every`: seconds between two times that a partition of a stateful stage absorbs
    side records. `clock` (us) is the wall clock, for what is written; `monotonic` (us) times waits.
    `hold_seconds`: how long a partition is held before its batch is tried again. `skips`: the
    orders to pass over bad records. Raises ConfigError when a topic is missing, and Retry.
    """

    def __init__(
        self,
        stage: Stage[Any],
        broker: Broker,
        consumer: Consumer,
        sink: Sink,
        *,
        snapshots: Snapshots | None,
        clock: Callable[[], int] = now_us,
        monotonic: Callable[[], int] = monotonic_us,
        batch: int = 4000,
        snapshot_every: int = 200_000,
        side_every: float = 1.0,
        hold_seconds: float = 60.0,
        skips: Skips | None = None,
        executor: Executor | None = None,
        pulse: Pulse | None = None,
    ) -> None:
        self._stage, self._consumer, self._sink, self._clock = stage, consumer, sink, clock
        self._batch, self._skips = batch, skips
        self._monotonic, self._log_time = monotonic, LogTime(monotonic)
        self._side_us = int(side_every * _SECOND)
        self._absorbed_us: dict[TopicPartition, int] = {}
        self._pulse = pulse or Pulse()
        partitions, origin = identify(stage, broker)
        tag = f"{stage.snapshot_tag}-{origin}"
        self._side, side_readers = side_input(stage, broker)
        self._readers = [broker.consumer(None), *side_readers]
        self._restorer = Restorer(
            stage,
            self._readers[0],
            self._side if isinstance(self._side, SideLog) else None,
            snapshots,
            partitions=partitions,
            tag=tag,
            batch=batch,
            beat=self._pulse.beat,
        )
        self._executor = executor or ThreadPoolExecutor(1, "snapshot")
        self._snapshotter = (
            Snapshotter(snapshots, stage.name, tag, self._executor, snapshot_every)
            if snapshots and stage.snapshot_tag
            else None
        )
        self._monitor = Monitor(stage.name, consumer, monotonic, self._pulse)
        self._assignment = Assignment(
            stage,
            consumer,
            Positions(stage.name, sink, self._restorer, skips),
            Restoration(stage.name, self._restorer, self._snapshotter, monotonic),
            self._side,
            monotonic,
            hold_seconds=hold_seconds,
        )
        self._assignment.join()

    @property
    def progress(self) -> Progress:
        """How far it is, for heartbeats."""
        return self._monitor.progress

    def run(self, stop: threading.Event) -> None:
        """Until `stop`: then finish the batch, take snapshots, and leave.

        Raises Fenced, Broken, Stop and any defect.
        """
        with collecting_between_batches() as collect:
            try:
                while not stop.is_set():
                    began = self._monotonic()
                    records = self.run_once()
                    collect()
                    stop.wait(rest_seconds(self._stage.input, records, self._monotonic() - began))
                if self._snapshotter:
                    self._snapshotter.finish(self._assignment.partitions)
            finally:
                self.close()  # guarded too: a client may never come back from it
                self._pulse.end()

    def run_once(self) -> int:
        """One poll and at most one commit; the number of records committed."""
        self._pulse.beat()
        if self._side is not None:
            self._side.poll()
        if self._skips is not None:
            self._assignment.try_at_once(self._skips.news())
        self._assignment.turn()
        patience = 0.0 if self._assignment.restoring else _POLL_SECONDS
        polled = self._consumer.poll(self._batch, patience)
        self._assignment.look_again(self._consumer.out_of_range())
        served = [
            (partition, batch)
            for batch in polled
            if (partition := self._assignment.serving(batch.source)) is not None
        ]
        served = self._with_waiting(served)
        committed = self._commit(served) if served else 0
        self._monitor.measure(
            self._assignment.partitions,
            holds=self._assignment.holds,
            ready=self._assignment.ready,
            restoring=self._assignment.progress,
            side_end=self._side.end if isinstance(self._side, SideLog) else None,
        )
        return committed

    def _with_waiting(self, served: list[tuple[Partition, Batch]]) -> list[tuple[Partition, Batch]]:
        """The batches behind the records that waited until now, and those of other partitions."""
        now = self._monotonic()
        polled = {partition.source: batch for partition, batch in served}
        batches: list[tuple[Partition, Batch]] = []
        for partition in self._assignment.settled:
            batch = polled.get(partition.source)
            if batch is not None:
                batch = self._cut(partition, batch)
            if len(partition.waiting):
                batch = (
                    partition.waiting.due(partition.source, now)
                    if batch is None
                    else partition.waiting.with_due(batch, now)
                )
            if batch is not None and len(batch):
                batches.append((partition, batch))
        return batches

    def _cut(self, partition: Partition, batch: Batch) -> Batch | None:
        """The records that lie within the span of what waits; the others are polled again."""
        # who reads blocks puts nothing off, and a span of addresses would be four messages
        never = self._stage.snapshot_tag or has_blocks(batch.source.topic)
        room = len(batch) if never else partition.waiting.room(batch)
        if room == len(batch):
            return batch
        self._consumer.seek(partition.source, batch.offsets[room])
        if room:
            return batch.slice(0, room)
        self._assignment.pause(_SPAN_PAUSE_US)
        return None

    def close(self) -> None:
        """Leave the group. What is not committed is as if it had not been read."""
        self._sink.close()
        for consumer in (self._consumer, *self._readers):
            consumer.close()
        self._executor.shutdown()

    def digests(self) -> dict[TopicPartition, str]:
        """The digest of each assigned partition's state."""
        return {
            partition.source: partition.state.digest() for partition in self._assignment.settled
        }

    def _commit(self, served: list[tuple[Partition, Batch]]) -> int:
        """Process the batches, and write all that comes of them or nothing; how many records."""
        started = time.monotonic()
        done: list[ProcessedBatch] = []
        held: set[TopicPartition] = set()
        try:
            # 1. Each batch becomes outputs and rejects; its partition's state is open to be undone.
            for partition, batch in served:
                processed = self._process(partition, self._up_to_skip(batch))
                if hold := partition.breaker.check(processed.batch, self._counting(processed)):
                    processed.rollback()
                    self._assignment.hold(partition, hold)
                    held.add(partition.source)
                else:
                    done.append(processed)
            if not done:
                return 0
            # 2. Outputs, rejects and positions: one transaction of Kafka or of the database.
            self._sink.write(
                [result for processed in done for result in processed.results],
                {processed.partition.source: processed.position for processed in done},
            )
        except Retry as error:
            # 3a. Not written, or nobody knows: undo the states, and ask the sink where to go on.
            for processed in done:
                processed.rollback()
            sources = [batch.source for _, batch in served if batch.source not in held]
            self._assignment.rewind(sources, error)
            return 0
        # 3b. Written: the states go on from here, and rejects count against the partition.
        for processed in done:
            self._count(processed)
            processed.commit(self._monotonic())
            processed.count()
        self._assignment.committed()
        # 4. What follows a commit: a snapshot that is due, a pause the stage asked for, metrics.
        if self._snapshotter:
            for processed in done:
                self._snapshotter.consider(processed.partition)
        if pause := max(processed.pause for processed in done):
            self._assignment.pause(int(pause * _SECOND))
        return self._monitor.count(done, time.monotonic() - started)

    def _up_to_skip(self, batch: Batch) -> Batch:
        """The batch, or only what lies before the end of an order to skip that ends within it.

        What lies behind has to hold by itself.
        """
        until = self._skips.until(batch.source) if self._skips else 0
        records = bisect_left(batch.offsets, until)
        if not 0 < records < len(batch):
            return batch
        self._consumer.seek(batch.source, batch.offsets[records])
        return batch.slice(0, records)

    def _counting(self, processed: ProcessedBatch) -> dict[int, str]:
        """The rejects that count for the breaker: those that nobody ordered to skip."""
        until = self._skips.until(processed.batch.source) if self._skips else 0
        return {offset: why for offset, why in processed.breaking.items() if offset >= until}

    def _count(self, processed: ProcessedBatch) -> None:
        """A batch is committed: count its rejects, and tell of those that were skipped by order."""
        counting = self._counting(processed)
        processed.partition.breaker.count(processed.batch, counting)
        skipped = len(processed.breaking) - len(counting)
        order = self._skips.order(processed.batch.source) if self._skips else None
        if skipped and order is not None:
            _LOG.warning(
                "stage %s: %d records of %s/%d before offset %d are dead letters, as %s ordered",
                self._stage.name,
                skipped,
                *processed.batch.source,
                order.until,
                order.by,
            )

    def _process(self, partition: Partition, batch: Batch) -> ProcessedBatch:
        """Absorb what is due of the side topic, then process."""
        batch.received_us, batch.log_us = self._clock(), self._log_time(batch)
        side, pairs = self._side_due(partition, batch.offsets[0])
        return self._restorer.process(partition, batch, side, pairs)

    def _side_due(self, partition: Partition, offset: int) -> tuple[int, list[Pair]]:
        """How far to absorb before the input at `offset`, and the pairs to note."""
        if not isinstance(self._side, SideLog) or self._side.end <= partition.side:
            return partition.side, partition.pairs
        now = self._monotonic()
        due = self._absorbed_us.get(partition.source, 0) + self._side_us
        if now < due or len(input_order.encode(partition.pairs)) > input_order.FULL:
            return partition.side, partition.pairs
        self._absorbed_us[partition.source] = now
        since_ms = self._stage.side_from(partition.state)
        stop = self._side.due(partition.side, since_ms)
        return stop, [*partition.pairs, Pair(offset, stop)]
