"""The one loop: poll, process, write outputs and positions together, commit the states."""

from __future__ import annotations

import gc
import hashlib
import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tidegate import metrics
from tidegate.broker.ports import Broker, Consumer
from tidegate.broker.records import Batch, TopicPartition
from tidegate.clock import now_us
from tidegate.errors import ConfigError, Retry
from tidegate.stream import input_order as interleaving
from tidegate.stream.input_order import Pair
from tidegate.stream.partition import Part, Step
from tidegate.stream.restore import Restorer
from tidegate.stream.side_topic import SideFeed, SideLog
from tidegate.stream.sink import Sink
from tidegate.stream.snapshot import Snapshots
from tidegate.stream.snapshotter import Snapshotter
from tidegate.stream.stage import Stage

if TYPE_CHECKING:
    from collections.abc import Iterator

_LOG = logging.getLogger(__name__)
_SECOND = 1_000_000
_COLLECT_EVERY = 5.0


@dataclass(slots=True)
class Progress:
    """What a runner tells of itself; `restored` says that all assigned partitions are being
    served.
    """

    partitions: list[int]
    restored: bool = False
    lag: int = 0
    processed: int = 0
    rejected: int = 0


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
        self._stage, self._sink, self._clock = stage, sink, clock
        self._batch, self._side_us, self._poll_seconds = (
            batch,
            int(side_every * _SECOND),
            poll_seconds,
        )
        partitions, origin = identify(stage, broker)
        tag = f"{stage.snapshot_tag}-{origin}"
        self._consumer = consumer
        self._readers = [broker.consumer(None)]
        self._log, self._feed = self._sides(broker)
        self._restorer = Restorer(
            stage,
            self._readers[0],
            self._log,
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
        self._parts: dict[TopicPartition, Part] = {}
        self._pending: set[TopicPartition] = set()
        self._absorbed: dict[TopicPartition, int] = {}
        self._assigned = self._paused = False
        self._wait_until = self._attempts = self._looked = 0
        self.progress = Progress([])
        self._consumer.subscribe(stage.input, self._on_assign, self._on_revoke)

    def _sides(self, broker: Broker) -> tuple[SideLog | None, SideFeed | None]:
        if self._stage.side is None:
            return None, None
        reader = broker.consumer(None)
        self._readers.append(reader)
        sources = reader.partitions(self._stage.side)
        if not self._stage.snapshot_tag:
            return None, SideFeed(reader, sources, self._stage)
        if len(sources) != 1:
            raise ConfigError(
                f"topic {self._stage.side} must have 1 partition, it has {len(sources)}: the "
                "order of "
                "labels is part of the state"
            )
        return SideLog(reader, sources[0]), None

    def run(self, stop: threading.Event) -> None:
        """Until `stop`: then finish the batch, take snapshots, and leave. Raises Fenced, Stop and
        any defect.
        """
        with _collecting_between_batches() as collect:
            try:
                while not stop.is_set():
                    self.run_once()
                    collect()
                if self._snapshotter:
                    self._snapshotter.finish(self._settled())
            finally:
                self.close()

    def run_once(self) -> int:
        """One poll and at most one commit; the number of records committed."""
        for side in (self._log, self._feed):
            if side is not None:
                side.poll()
        if self._paused and self._clock() >= self._wait_until:
            self._resume()
        polled = self._consumer.poll(self._batch, self._poll_seconds)
        batches = [
            batch
            for batch in polled
            if batch.source in self._parts and batch.source not in self._pending
        ]
        committed = self._commit(batches) if batches else 0
        self._look()
        return committed

    def close(self) -> None:
        """Leave the group. What is not committed is as if it had not been read."""
        self._sink.close()
        for consumer in (self._consumer, *self._readers):
            consumer.close()
        self._executor.shutdown()

    def digests(self) -> dict[TopicPartition, str]:
        """The digest of each assigned partition's state."""
        return {part.source: part.state.digest() for part in self._settled()}

    def _on_assign(self, sources: list[TopicPartition]) -> dict[TopicPartition, int]:
        self._parts.clear()
        self._pending = set(sources)
        self._assigned = self._paused = True
        self._wait_until = 0
        return {}

    def _on_revoke(self, sources: list[TopicPartition]) -> None:
        for source in sources:
            self._parts.pop(source, None)
            self._pending.discard(source)
        self._assigned = False
        metrics.READY.labels(self._stage.name).set(0)

    def _resume(self) -> None:
        """Position what is assigned or was rewound, as the sink knows it, and go on. Waits longer
        after a failure.
        """
        started = time.monotonic()
        try:
            self._reposition(sorted(self._pending))
        except Retry as error:
            self._back_off(error)
            return
        if self._parts:
            metrics.RESTORE_SECONDS.labels(self._stage.name).set(time.monotonic() - started)
        self._consumer.resume(list(self._parts))
        self._paused = False

    def _reposition(self, sources: list[TopicPartition]) -> None:
        if self._feed is not None:
            self._feed.follow()
        positions = self._sink.positions(sources) if sources else {}
        for source in sources:
            position, part = positions.get(source), self._parts.get(source)
            if part is None or (position and position.offset < part.offset):
                part = self._parts[source] = self._restorer.fresh(source, position)
            if position is not None:
                self._restorer.catch_up(part, position)
            self._consumer.seek(source, part.offset)
        if self._log is not None and self._parts:
            self._log.follow(min(part.side for part in self._parts.values()))
        self._pending.clear()

    def _back_off(self, error: Retry) -> None:
        """Pause everything for a while; polling goes on, so that the group keeps this member."""
        delay = min(5 * _SECOND, 20_000 << min(self._attempts, 10))
        self._attempts += 1
        self._wait(delay)
        metrics.RETRIES.labels(self._stage.name).inc()
        _LOG.warning("stage %s waits %.2f s: %s", self._stage.name, delay / _SECOND, error)

    def _wait(self, delay_us: int) -> None:
        self._consumer.pause(sorted(self._pending.union(self._parts)))
        self._paused = True
        self._wait_until = self._clock() + delay_us

    def _commit(self, batches: list[Batch]) -> int:
        started = time.monotonic()
        steps: list[Step] = []
        try:
            for batch in batches:
                batch.received_us = self._clock()
                steps.append(self._step(self._parts[batch.source], batch))
            self._sink.write(
                [result for step in steps for result in step.results],
                {step.part.source: step.position for step in steps},
            )
        except Retry as error:
            for step in steps:
                step.part.state.rollback()
            self._pending.update(batch.source for batch in batches)
            self._back_off(error)
            return 0
        for batch, step in zip(batches, steps, strict=True):
            step.commit()
            step.part.breaker.count(batch, step.rejects)
        self._attempts = 0
        self._after(steps)
        return self._count(batches, steps, time.monotonic() - started)

    def _step(self, part: Part, batch: Batch) -> Step:
        side, pairs = self._side_for(part, batch)
        step = self._restorer.apply(part, batch, side, pairs)
        if rejects := step.rejects:
            part.breaker.check(
                batch, rejects, {r.reason for _, output in step.results for r in output.rejects}
            )
        return step

    def _side_for(self, part: Part, batch: Batch) -> tuple[int, list[Pair]]:
        """How far to absorb before this batch, and the pairs to note."""
        if self._log is None or self._log.end <= part.side:
            return part.side, part.pairs
        now = self._clock()
        if (
            now < self._absorbed.get(part.source, 0) + self._side_us
            or len(interleaving.encode(part.pairs)) > interleaving.FULL
        ):
            return part.side, part.pairs
        self._absorbed[part.source] = now
        return self._log.end, [*part.pairs, Pair(batch.offsets[0], self._log.end)]

    def _after(self, steps: list[Step]) -> None:
        if self._snapshotter:
            for step in steps:
                self._snapshotter.consider(step.part)
        if pause := max(output.pause for step in steps for _, output in step.results):
            self._wait(int(pause * _SECOND))

    def _count(self, batches: list[Batch], steps: list[Step], seconds: float) -> int:
        name, records = self._stage.name, sum(map(len, batches))
        metrics.PROCESSED.labels(name).inc(records)
        metrics.BATCH_SIZE.labels(name).observe(records)
        metrics.STAGE_SECONDS.labels(name).observe(seconds)
        self.progress.processed += records
        for reject in (r for step in steps for _, output in step.results for r in output.rejects):
            metrics.REJECTED.labels(name, reject.reason).inc()
            self.progress.rejected += 1
        return records

    def _look(self) -> None:
        """Once a second, and when readiness changes: lag and readiness."""
        now, ready = self._clock(), self._assigned and not self._pending
        if now < self._looked + _SECOND and ready == self.progress.restored:
            return
        self._looked, lag, name = now, 0, self._stage.name
        for source, part in self._parts.items():
            end, at = self._consumer.end(source), self._consumer.position(source)
            behind = max(0, (end or 0) - max(at or 0, part.offset))
            metrics.LAG.labels(name, str(source.partition)).set(behind)
            lag += behind
        self.progress.partitions = [source.partition for source in sorted(self._parts)]
        self.progress.restored, self.progress.lag = ready, lag
        metrics.READY.labels(name).set(ready)
        metrics.ASSIGNED.labels(name).set(len(self._parts))

    def _settled(self) -> list[Part]:
        return [part for source, part in sorted(self._parts.items()) if source not in self._pending]


def identify(stage: Stage[Any], broker: Broker) -> tuple[int, str]:
    """The input's number of partitions, and a word that changes with the cluster and the topics'
    incarnations.
    """
    topics = [stage.input, *([stage.side] if stage.side else [])]
    ids = broker.topic_ids(topics)
    if missing := [topic for topic in topics if topic not in ids]:
        raise ConfigError(f"there is no topic {missing[0]!r}: run `tidegate topics apply`")
    words = f"{broker.cluster_id()} {sorted(ids.items())}"
    return ids[stage.input][1], hashlib.sha256(words.encode()).hexdigest()[:12]


@contextmanager
def _collecting_between_batches() -> Iterator[Callable[[], None]]:
    """The cyclic collector would fire while thousands of objects of a batch are alive; run it when
    they are gone.
    """
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
