"""What became of the newest verdicts, for `GET /v1/feedback/{label_id}`.

Nobody stores it: it is put together from the topics that a verdict passes. Whoever never asks pays
nothing, and after a restart it is read again.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from tidegate.broker.asker import Asker
from tidegate.broker.ports import Broker
from tidegate.broker.records import Batch, Position, TopicPartition
from tidegate.broker.tail import Tail
from tidegate.errors import Retry
from tidegate.pipeline import FEEDBACK, LABELS, MODELS, OUTCOMES, group_of

if TYPE_CHECKING:
    from producers.api.verdict_fold import Status, Verdicts

NEWEST = 50_000
"""Verdicts, labels and outcomes that are known at least. Once somebody asks, they take up to 140 MB
of a worker, and the compiled rule of which verdict holds 120 MB.
"""
STATUSES = {
    "waiting": "its row is not there yet",
    "joined": "it is a label, which the learner has not reached; it counts in the windows",
    "recorded": "its source has weight 0 in the profile, so it teaches nothing",
    "learnt": "it moved the online weights",
    "repeated": "an earlier verdict on the transaction said the same",
    "superseded": "another verdict on the transaction was given later; superseded_by names it",
    "over_quota": "its source had given too many verdicts in that hour; it counts nowhere",
    "frozen": "the online model had lost against the trained one, which scores",
    "passed_over": "its row was scored by another version of the profile, with other columns",
    "refused": "it is a dead letter; reason and detail say why",
}
"""What may become of a verdict."""
_OFFSETS = 3
"""Offsets that a label or an outcome takes at most: each transaction leaves a marker behind, also
one that is aborted.
"""
_SECONDS = 5.0
"""Longest that a request waits until the topics are read."""


class VerdictWays:
    """Thread-safe. Reads its topics from the first question on; `profile` is the profile's hash."""

    def __init__(self, broker: Broker, profile: str, newest: int = NEWEST) -> None:
        self._broker, self._profile, self._newest = broker, profile, newest
        self._lock, self._starting = threading.Lock(), threading.Lock()
        self._asker = Asker(broker)
        self._verdicts: Verdicts | None = None
        self._tails: dict[str, Tail] = {}
        self._caught_up = False

    def get(self, label_id: str) -> Status | None:
        """What became of this verdict; None where it is not among the newest.

        Knows all that was durable when it is called for the first time, or finds nothing. Raises
        Retry while the topics are not read, ConfigError when one is missing.
        """
        found = self._status(label_id) if self._caught_up else None
        if found is None:
            self._catch_up()
            self._caught_up = True
            found = self._status(label_id)
        return found

    def close(self) -> None:
        """Stop reading."""
        for tail in self._tails.values():
            tail.close()
        self._asker.close()

    def _catch_up(self) -> None:
        """Read to the present ends of the topics."""
        self._start()
        deadline = time.monotonic() + _SECONDS
        ends = self._asker.ends((FEEDBACK, LABELS, OUTCOMES, MODELS), deadline)
        for topic, tail in self._tails.items():
            own = {source: end for source, end in ends.items() if source.topic == topic}
            if not tail.reached(own, max(0.0, deadline - time.monotonic())):
                raise Retry(tail.problem or f"topic {topic} is not read to its end yet")

    def _start(self) -> None:
        """Follow the topics, which one request begins. Raises Retry, for the others in time."""
        if self._tails:
            return
        if not self._starting.acquire(timeout=_SECONDS):
            raise Retry("the topics are not followed yet")
        try:
            self._tails = self._tails or self._follow()
        finally:
            self._starting.release()

    def _follow(self) -> dict[str, Tail]:
        # The first question brings the compiler of the model's loops into the process.
        from producers.api.verdict_fold import Verdicts

        self._verdicts = Verdicts(self._profile, self._newest, self._label_at())
        tails = {
            topic: Tail(self._broker, topic, self._absorb, newest=offsets * self._newest)
            for topic, offsets in ((FEEDBACK, 1), (LABELS, _OFFSETS), (OUTCOMES, _OFFSETS))
        }
        tails[MODELS] = Tail(self._broker, MODELS, self._absorb, from_start=True)
        return {topic: tail.start() for topic, tail in tails.items()}

    def _label_at(self) -> dict[TopicPartition, Position]:
        """How far the label stage has come."""
        consumer = self._broker.watcher(group_of("label"))
        try:
            return consumer.committed(consumer.partitions(FEEDBACK))
        finally:
            consumer.close()

    def _absorb(self, batch: Batch) -> None:
        with self._lock:
            if self._verdicts is not None:
                self._verdicts.take(batch)

    def _status(self, label_id: str) -> Status | None:
        with self._lock:
            return self._verdicts.status(label_id) if self._verdicts is not None else None
