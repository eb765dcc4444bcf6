"""The side topic of a stage: labels for the keyed steps, models for the scorer."""

from __future__ import annotations

import logging
from bisect import bisect_left
from collections import deque
from collections.abc import Generator, Iterator
from typing import Any

from tidegate.broker.addresses import shown
from tidegate.broker.ports import Broker, Consumer
from tidegate.broker.records import Batch, TopicPartition
from tidegate.errors import Retry, Stop
from tidegate.stream.stage import NoState, Stage

_LOG = logging.getLogger(__name__)
_POLL = 4000
_PATIENCE = 60
"""Empty polls of 0.1 s in a row before a read is given up for now."""
_HELD = 8 << 20
"""Bytes of values held in memory. What is older is read from the log again: a label has 0.5 KB, a
model 10 KB and more, so a count of records would bound nothing."""
MOST = 20_000
"""Offsets of the side topic absorbed before one batch at most: no backlog stops the loop."""


def read_partition(
    broker: Broker, topic: str, start: int, stop: int | None = None
) -> Iterator[Batch]:
    """The records of a topic of one partition with `start` <= offset < `stop` (None: its end).

    Raises Retry, Stop, and ConfigError when there is no such topic.
    """
    consumer = broker.consumer(None)
    try:
        (source,) = consumer.partitions(topic)
        first, end = consumer.bounds(source)
        last = end if stop is None else stop
        yield from read_range(consumer, source, max(first, start), last, _POLL)
    finally:
        consumer.close()


def read_range(
    consumer: Consumer, source: TopicPartition, start: int, stop: int, size: int
) -> Iterator[Batch]:
    """The records of a partition with `start` <= offset < `stop`.

    Raises Retry when they do not come, Stop when the log ends before `stop`.
    """
    for batch in poll_range(consumer, source, start, stop, size):
        if batch is not None:
            yield batch


def poll_range(
    consumer: Consumer, source: TopicPartition, start: int, stop: int, size: int
) -> Iterator[Batch | None]:
    """As `read_range`, and None after each poll of 0.1 s that brought nothing.

    So the caller has its turn at least ten times a second.
    """
    if start >= stop:
        return
    consumer.assign({source: start})
    empty = 0
    while (consumer.position(source) or start) < stop:
        batches = consumer.poll(size, 0.1)
        empty = 0 if batches else empty + 1
        for batch in batches:
            if records := bisect_left(batch.offsets, stop):
                yield batch if records == len(batch) else batch.slice(0, records)
        if not batches:
            yield None
        if empty > _PATIENCE:
            _explain(consumer, source, stop)


def _explain(consumer: Consumer, source: TopicPartition, stop: int) -> None:
    end = consumer.bounds(source)[1]
    if end < stop:
        raise Stop(
            f"{source.topic}/{source.partition} ends at {shown(source.topic, end)}, before the "
            f"committed offset {shown(source.topic, stop)}: was the "
            "topic made anew? Reset the group's offsets (or the database's) if that was meant"
        )
    raise Retry(
        f"{source.topic}/{source.partition}: no records before offset {shown(source.topic, stop)} "
        f"within {_PATIENCE / 10:g} s"
    )


class SideLog:
    """The one partition of a stateful stage's side topic, followed to its end.

    The newest records are kept in memory.

    `end` is the offset after the last record known, `held` the bytes of values in memory.
    """

    def __init__(self, consumer: Consumer, source: TopicPartition, hold: int = _HELD) -> None:
        self._consumer, self._source, self._hold = consumer, source, hold
        self._recent: deque[tuple[Batch, int]] = deque()
        self.held = 0
        self._start = self.end = -1
        self._goal = 0
        self._empty = 0

    def follow(self, start: int) -> bool:
        """Follow the topic from `start`, unless it is followed already.

        Only the newest `MOST` offsets: what is older is read when it is absorbed. One poll a call;
        whether the end that the topic had at the first call is reached. Raises Retry when nothing
        comes for `_PATIENCE` calls in a row.
        """
        if self.end < 0:
            self._goal = self._consumer.bounds(self._source)[1]
            start = max(start, self._goal - MOST)
            self._consumer.assign({self._source: start})
            self._start = self.end = start
        if self.end < self._goal:
            before = self.end
            self.poll(0.1)
            self._empty = self._empty + 1 if self.end == before else 0
        if self._empty > _PATIENCE:
            self._empty = 0
            raise Retry(
                f"{self._source.topic}/{self._source.partition} is read to offset {self.end} of "
                f"{self._goal}, and nothing came within {_PATIENCE / 10:g} s"
            )
        return self.end >= self._goal

    def poll(self, timeout: float = 0.0) -> None:
        """Take what has come."""
        if self.end < 0:
            return
        for batch in self._consumer.poll(_POLL, timeout):
            size = sum(len(value or b"") for value in batch.values)
            self._recent.append((batch, size))
            self.held += size
        self.end = max(self.end, self._consumer.position(self._source) or 0)
        while self.held > self._hold:
            batch, size = self._recent.popleft()
            self._start = batch.next_offset
            self.held -= size

    def begin(self, start: int, stop: int, since_ms: int) -> int:
        """Where to begin to absorb what lies from `start` to `stop`.

        A long run of records stamped before `since_ms`, which change nothing, is passed over, all
        but its last `MOST` offsets. Raises Retry.
        """
        if stop - start <= MOST or since_ms <= 0:
            return start
        counts = self._consumer.offset_at(self._source, since_ms)
        return max(start, min(counts, stop - MOST))

    def due(self, start: int, since_ms: int) -> int:
        """How far a state that has absorbed all before `start` is to absorb now. Raises Retry."""
        return min(self.end, self.begin(start, self.end, since_ms) + MOST)

    def read(self, start: int, stop: int) -> Generator[Batch]:
        """Records with `start` <= offset < `stop`, from memory or from the log.

        Other members may have seen more of it than has come here. Raises Retry, Stop.
        """
        if 0 <= self._start <= start and stop <= self.end:
            for batch, _ in self._recent:
                wanted = _between(batch, start, stop)
                if len(wanted):
                    yield wanted
            return
        try:
            yield from read_range(self._consumer, self._source, start, stop, _POLL)
        finally:
            if self.end >= 0:
                self._consumer.assign({self._source: self.end})


def _between(batch: Batch, start: int, stop: int) -> Batch:
    """The records of a batch with `start` <= offset < `stop`."""
    first, last = bisect_left(batch.offsets, start), bisect_left(batch.offsets, stop)
    return batch if (first, last) == (0, len(batch)) else batch.slice(first, last)


class SideFeed:
    """All partitions of a stateless stage's side topic, each batch absorbed once."""

    def __init__(
        self, consumer: Consumer, sources: list[TopicPartition], stage: Stage[Any]
    ) -> None:
        self._consumer, self._stage, self._sources, self._assigned = consumer, stage, sources, False

    def follow(self) -> None:
        """Read to the present end. Raises Retry."""
        if not self._assigned:
            self._consumer.assign(
                {source: self._consumer.bounds(source)[0] for source in self._sources}
            )
            self._assigned = True
        ends = {source: self._consumer.bounds(source)[1] for source in self._sources}
        for _ in range(_PATIENCE):
            if all((self._consumer.position(source) or 0) >= end for source, end in ends.items()):
                return
            self.poll(0.1)
        raise Retry("the side topic is not read to its end yet")

    def poll(self, timeout: float = 0.0) -> None:
        """Absorb what has come; what cannot be absorbed now comes again."""
        batches = self._consumer.poll(_POLL, timeout) if self._assigned else []
        for batch in batches:
            try:
                self._stage.absorb(NoState(), batch)
            except Retry as error:
                _LOG.warning("side topic %s: %s", batch.source.topic, error)
                self._consumer.seek(batch.source, batch.offsets[0])
