"""The one loop: poll, process, write outputs and positions together, commit the states."""

from __future__ import annotations

import gc
import hashlib
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from tidegate.broker.ports import Broker, Consumer
from tidegate.broker.records import Batch, TopicPartition
from tidegate.clock import now_us
from tidegate.errors import ConfigError, Retry
from tidegate.stream import input_order
from tidegate.stream.assignment import Assignment
from tidegate.stream.input_order import Pair
from tidegate.stream.partition import Partition, ProcessedBatch
from tidegate.stream.progress import Monitor, Progress
from tidegate.stream.restore import Restorer
from tidegate.stream.side_topic import SideFeed, SideLog
from tidegate.stream.sink import Sink
from tidegate.stream.snapshot import Snapshots
from tidegate.stream.snapshotter import Snapshotter
from tidegate.stream.stage import Stage

_SECOND = 1_000_000
_COLLECT_EVERY = 5.0
_SPAN_PAUSE_US = 250_000
"""How long a partition rests whose oldest record that waits is too far behind."""


class Runner:
    """Runs one stage. `consumer` is a member of the stage's group, and closed by the runner.

    `batch`: most records of one transaction. `snapshot_every`: records of a partition between two
    snapshots. `side_every`: seconds between two times that a partition of a stateful stage absorbs
    side records (each costs a few characters of the note). `clock` gives us. Raises ConfigError
    when a topic is missing, Retry when the broker does not answer.
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
        batch: int = 4000,
        snapshot_every: int = 200_000,
        side_every: float = 1.0,
        poll_seconds: float = 0.1,
        executor: Executor | None = None,
    ) -> None:
        self._stage, self._consumer, self._sink, self._clock = stage, consumer, sink, clock
        self._batch, self._poll_seconds = batch, poll_seconds
        self._side_us = int(side_every * _SECOND)
        self._absorbed_us: dict[TopicPartition, int] = {}
        partitions, origin = identify(stage, broker)
        tag = f"{stage.snapshot_tag}-{origin}"
        self._readers = [broker.consumer(None)]
        self._side = self._side_input(broker)
        self._restorer = Restorer(
            stage,
            self._readers[0],
            self._side if isinstance(self._side, SideLog) else None,
            snapshots,
            partitions=partitions,
            tag=tag,
            batch=batch,
        )
        self._executor = executor or ThreadPoolExecutor(1, "snapshot")
        self._snapshotter = (
            Snapshotter(snapshots, stage.name, tag, self._executor, snapshot_every)
            if snapshots and stage.snapshot_tag
            else None
        )
        self._monitor = Monitor(stage.name, consumer, clock)
        self._assignment = Assignment(stage, consumer, sink, self._restorer, self._side, clock)
        self._assignment.join()

    def _side_input(self, broker: Broker) -> SideLog | SideFeed | None:
        """How the stage reads its side topic.

        Raises ConfigError when it has partitions whose order is not defined.
        """
        if self._stage.side is None:
            return None
        reader = broker.consumer(None)
        self._readers.append(reader)
        sources = reader.partitions(self._stage.side)
        if not self._stage.snapshot_tag:
            return SideFeed(reader, sources, self._stage)
        if len(sources) != 1:
            raise ConfigError(
                f"topic {self._stage.side} must have 1 partition, it has {len(sources)}: the order "
                "of labels is part of the state"
            )
        return SideLog(reader, sources[0])

    @property
    def progress(self) -> Progress:
        """How far it is, for heartbeats."""
        return self._monitor.progress

    def run(self, stop: threading.Event) -> None:
        """Until `stop`: then finish the batch, take snapshots, and leave.

        Raises Fenced, Stop and any defect.
        """
        with _collecting_between_batches() as collect:
            try:
                while not stop.is_set():
                    self.run_once()
                    collect()
                if self._snapshotter:
                    self._snapshotter.finish(self._assignment.settled)
            finally:
                self.close()

    def run_once(self) -> int:
        """One poll and at most one commit; the number of records committed."""
        if self._side is not None:
            self._side.poll()
        self._assignment.resume_when_due()
        polled = self._consumer.poll(self._batch, self._poll_seconds)
        served = [
            (partition, batch)
            for batch in polled
            if (partition := self._assignment.serving(batch.source)) is not None
        ]
        served = self._with_waiting(served)
        committed = self._commit(served) if served else 0
        self._monitor.measure(self._assignment.partitions, ready=self._assignment.ready)
        return committed

    def _with_waiting(self, served: list[tuple[Partition, Batch]]) -> list[tuple[Partition, Batch]]:
        """The batches behind the records that waited until now, and those of other partitions."""
        now = self._clock()
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
        room = len(batch) if self._stage.snapshot_tag else partition.waiting.room(batch)
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
        """Process the batches and write all that comes of them, or nothing.

        Returns the number of records committed.
        """
        started = time.monotonic()
        done: list[ProcessedBatch] = []
        try:
            # 1. Each batch becomes outputs and rejects; its partition's state is open to be undone.
            for partition, batch in served:
                done.append(self._process(partition, batch))
            # 2. Outputs, rejects and positions: one transaction of Kafka or of the database.
            self._sink.write(
                [result for processed in done for result in processed.results],
                {processed.partition.source: processed.position for processed in done},
            )
        except Retry as error:
            # 3a. Not written, or nobody knows: undo the states, and ask the sink where to go on.
            for processed in done:
                processed.rollback()
            self._assignment.rewind([batch.source for _, batch in served], error)
            return 0
        # 3b. Written: the states go on from here, and rejects count against the stage.
        for processed in done:
            processed.commit()
            processed.partition.breaker.count(processed.batch, processed.reject_offsets)
        self._assignment.committed()
        # 4. What follows a commit: a snapshot that is due, a pause the stage asked for, metrics.
        if self._snapshotter:
            for processed in done:
                self._snapshotter.consider(processed.partition)
        if pause := max(processed.pause for processed in done):
            self._assignment.pause(int(pause * _SECOND))
        return self._monitor.count(done, time.monotonic() - started)

    def _process(self, partition: Partition, batch: Batch) -> ProcessedBatch:
        """Absorb what is due of the side topic, then process.

        Raises Stop when too much is rejected.
        """
        batch.received_us = self._clock()
        side, pairs = self._side_due(partition, batch.offsets[0])
        processed = self._restorer.process(partition, batch, side, pairs)
        if rejects := processed.reject_offsets:
            partition.breaker.check(batch, rejects, set(processed.reject_reasons))
        return processed

    def _side_due(self, partition: Partition, offset: int) -> tuple[int, list[Pair]]:
        """How far to absorb before the input at `offset`, and the pairs to note."""
        if not isinstance(self._side, SideLog) or self._side.end <= partition.side:
            return partition.side, partition.pairs
        now = self._clock()
        due = self._absorbed_us.get(partition.source, 0) + self._side_us
        if now < due or len(input_order.encode(partition.pairs)) > input_order.FULL:
            return partition.side, partition.pairs
        self._absorbed_us[partition.source] = now
        return self._side.end, [*partition.pairs, Pair(offset, self._side.end)]


def identify(stage: Stage[Any], broker: Broker) -> tuple[int, str]:
    """The input's number of partitions, and a word that changes when topics are made anew."""
    topics = [stage.input, *([stage.side] if stage.side else [])]
    ids = broker.topic_ids(topics)
    if missing := [topic for topic in topics if topic not in ids]:
        raise ConfigError(f"there is no topic {missing[0]!r}: run `tidegate topics apply`")
    words = f"{broker.cluster_id()} {sorted(ids.items())}"
    return ids[stage.input][1], hashlib.sha256(words.encode()).hexdigest()[:12]


@contextmanager
def _collecting_between_batches() -> Iterator[Callable[[], None]]:
    """Collect garbage between batches, not while thousands of objects of one are alive."""
    gc.collect()
    gc.freeze()
    gc.disable()
    due = time.monotonic() + _COLLECT_EVERY

    def collect() -> None:
        nonlocal due
        if time.monotonic() >= due:
            gc.collect()
            due = time.monotonic() + _COLLECT_EVERY

    try:
        yield collect
    finally:
        gc.enable()
        gc.unfreeze()
