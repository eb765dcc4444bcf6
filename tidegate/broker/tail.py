"""A thread that follows a whole topic, without a group.

The API's waiters, the live page and the board of heartbeats are fed by one each.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping

from tidegate.broker.ports import Broker, Consumer
from tidegate.broker.records import Batch, TopicPartition
from tidegate.errors import ConfigError, Retry

_LOG = logging.getLogger(__name__)
_PAUSE = 1.0
"""Seconds between two attempts while the broker or the topic is away."""

_BREATH = 0.002


class Tail:
    """Hands every batch of `topic` to `absorb`, from its end or (`from_start`) its first record.

    `newest` begins so many offsets before the end, shared among the partitions.

    Best effort: after an outage it goes on from the end (or starts over). `problem` says why it is
    not reading now, or is empty. An error of `absorb` is a defect: the thread ends and `problem`
    keeps the words.
    """

    def __init__(
        self,
        broker: Broker,
        topic: str,
        absorb: Callable[[Batch], None],
        *,
        from_start: bool = False,
        newest: int = 0,
        poll_seconds: float = 0.2,
        max_records: int = 2000,
    ) -> None:
        self._broker, self._topic, self._absorb = broker, topic, absorb
        self._from_start, self._newest = from_start, newest
        self._poll_seconds, self._max_records = poll_seconds, max_records
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"tail-{topic}", daemon=True)
        self._positions: dict[TopicPartition, int] = {}
        self._moved = threading.Condition()
        self.problem = f"topic {topic} is not read yet"
        self.reading = threading.Event()
        """Set once the thread knows the offsets it starts from: records produced later are seen."""
        self._since: float | None = None

    def start(self) -> Tail:
        self._thread.start()
        return self

    def reached(self, ends: Mapping[TopicPartition, int], timeout: float) -> bool:
        """Whether all before these offsets was absorbed, within `timeout` s."""

        def there() -> bool:
            return all(self._positions.get(source, -1) >= end for source, end in ends.items())

        with self._moved:
            return self._moved.wait_for(there, timeout)

    def reading_for(self) -> float:
        """Seconds since it began to read, without an outage since then; 0 while it does not."""
        since = self._since
        return 0.0 if since is None else time.monotonic() - since

    def close(self) -> None:
        """Stop and wait for the thread."""
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join(10)

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self._follow()
            except (Retry, ConfigError) as error:
                self.problem = f"topic {self._topic}: {error}"
                self._stop.wait(_PAUSE)
            except Exception as error:
                self.problem = f"the reader of topic {self._topic} stopped: {type(error).__name__}"
                _LOG.exception("the reader of topic %s stopped", self._topic)
                raise

    def _follow(self) -> None:
        consumer = self._broker.follower()
        try:
            starts = self._starts(consumer)
            consumer.assign(starts)
            self.problem = ""
            self._since = time.monotonic()
            self.reading.set()
            while not self._stop.is_set():
                batches = consumer.poll(self._max_records, self._poll_seconds)
                for batch in batches:
                    self._absorb(batch)
                with self._moved:
                    self._positions = {each: consumer.position(each) or 0 for each in starts}
                    self._moved.notify_all()
                if not batches:
                    self._stop.wait(_BREATH)  # the broker in memory does not wait for records
        finally:
            self._since = None
            consumer.close()

    def _starts(self, consumer: Consumer) -> Mapping[TopicPartition, int]:
        sources = consumer.partitions(self._topic)
        return {source: self._start(*consumer.bounds(source), len(sources)) for source in sources}

    def _start(self, first: int, end: int, partitions: int) -> int:
        """Where to begin in one of so many partitions, with these bounds."""
        if self._newest:
            return max(first, end - self._newest // partitions)
        return first if self._from_start else end
