"""A thread that follows a whole topic, without a group.

The API's waiters, the live page and the board of heartbeats are fed by one each.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from tidegate.broker.ports import Broker
from tidegate.broker.records import Batch
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
        self.problem = f"topic {topic} is not read yet"
        self.reading = threading.Event()
        """Set once the thread knows the offsets it starts from: records produced later are seen."""
        self.caught_up = threading.Event()
        """Set once what was there at the start has been absorbed."""

    def start(self) -> Tail:
        self._thread.start()
        return self

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
            bounds = {
                partition: consumer.bounds(partition)
                for partition in consumer.partitions(self._topic)
            }
            consumer.assign(
                {source: self._start(*edges, len(bounds)) for source, edges in bounds.items()}
            )
            self.problem = ""
            self.reading.set()
            while not self._stop.is_set():
                batches = consumer.poll(self._max_records, self._poll_seconds)
                for batch in batches:
                    self._absorb(batch)
                if not batches:
                    self._stop.wait(_BREATH)  # the broker in memory does not wait for records
                if not self.caught_up.is_set() and all(
                    (consumer.position(partition) or 0) >= end
                    for partition, (_, end) in bounds.items()
                ):
                    self.caught_up.set()
        finally:
            consumer.close()

    def _start(self, first: int, end: int, partitions: int) -> int:
        """Where to begin in one of so many partitions, with these bounds."""
        if self._newest:
            return max(first, end - self._newest // partitions)
        return first if self._from_start else end
