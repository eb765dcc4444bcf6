"""What became of the newest verdicts, for `GET /v1/feedback/{label_id}`.

Nobody stores it: it is put together from the topics that a verdict passes. Whoever never asks pays
nothing, and after a restart it is read again.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeVar

import msgspec

from model.bundles.promotion import model_message
from tidegate.broker.ports import Broker, Consumer
from tidegate.broker.records import Batch
from tidegate.broker.tail import Tail
from tidegate.errors import Retry
from tidegate.messages.documents import (
    Champion,
    OnlineWeights,
    VerdictOutcome,
    decode_outcome,
    decode_verdict,
    label_id_of,
)
from tidegate.messages.frames import NONE
from tidegate.pipeline import FEEDBACK, LABELS, MODELS, OUTCOMES

NEWEST = 50_000
"""Verdicts, labels and outcomes that are known at least, some 50 MB once somebody asks."""
STATUSES = {
    "waiting": "its row is not there yet",
    "joined": "it is a label, which the learner has not reached; it counts in the windows",
    "learnt": "it moved the online weights",
    "repeated": "an earlier verdict on the transaction said the same",
    "superseded": "another verdict on the transaction was given later; superseded_by names it",
    "over_quota": "its source had given too many verdicts in that hour",
    "frozen": "the online model had lost against the trained one, which scores",
    "passed_over": "its row was scored by another version of the profile, with other columns",
    "refused": "it is a dead letter; reason and detail say why",
}
"""What may become of a verdict."""
_SECONDS = 5.0
"""Longest that a request waits until the topics are read."""

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Recent(Generic[K, V]):
    """A dict of at least the last `most` keys that were put, and twice as many at most."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._young: dict[K, V] = {}
        self._old: dict[K, V] = {}

    def get(self, key: K) -> V | None:
        """The value, or None."""
        found = self._young.get(key)
        return self._old.get(key) if found is None else found

    def put(self, key: K, value: V) -> None:
        """Remember it as the newest."""
        if len(self._young) >= self._most:
            self._old, self._young = self._young, {}
        self._young[key] = value


@dataclass(slots=True)
class Status:
    """The answer: what became of a verdict, and why."""

    label_id: str
    transaction_id: str
    status: str
    reason: str = ""
    detail: str = ""
    superseded_by: str = ""


class _Posted(NamedTuple):
    transaction_id: str
    offset: int
    """The newest one on the feedback topic: a redrive puts it there again."""


class _Label(msgspec.Struct):
    """What is needed of a label; a rollback is none."""

    transaction_id: str
    label_id: str
    fraud: bool
    given_us: int
    offset: int = NONE


_label = msgspec.json.Decoder(_Label).decode
_UNREADABLE = msgspec.DecodeError, UnicodeDecodeError, RecursionError


class VerdictWays:
    """Thread-safe. Reads its topics from the first question on; `profile` is the profile's hash."""

    def __init__(self, broker: Broker, profile: str, newest: int = NEWEST) -> None:
        self._broker, self._profile, self._newest = broker, profile, newest
        self._lock, self._asking = threading.Lock(), threading.Lock()
        self._asker: Consumer | None = None
        self._posted: Recent[str, _Posted] = Recent(newest)
        self._labels: Recent[str, _Label] = Recent(newest)
        """The first label with each id."""
        self._holding: Recent[str, _Label] = Recent(newest)
        """Of each transaction the label whose verdict was given last."""
        self._unlabelled: Recent[str, VerdictOutcome] = Recent(newest)
        self._unlearnt: Recent[tuple[str, str], VerdictOutcome] = Recent(newest)
        """What a bundle's learner said of a label, by the label's id and the bundle."""
        self._learner_at: dict[str, int] = {}
        self._champion = ""
        self._tails: dict[str, Tail] = {}

    def get(self, label_id: str) -> Status | None:
        """What became of this verdict; None where it is not among the newest.

        Knows all that was durable when it is called for the first time, or finds nothing. Raises
        Retry while the topics are not read, ConfigError when one is missing.
        """
        found = self._status(label_id) if self._tails else None
        if found is None:
            self._catch_up()
            found = self._status(label_id)
        return found

    def close(self) -> None:
        """Stop reading."""
        for tail in self._tails.values():
            tail.close()
        if self._asker is not None:
            self._asker.close()

    def _catch_up(self) -> None:
        """Read to the present ends of the topics. One request asks for them at a time."""
        deadline = time.monotonic() + _SECONDS
        with self._asking:
            self._asker = self._asker or self._broker.consumer(None)
            ends = {
                source: self._asker.bounds(source)[1]
                for topic in (FEEDBACK, LABELS, OUTCOMES, MODELS)
                for source in self._asker.partitions(topic)
            }
            self._tails = self._tails or self._follow()
        for topic, tail in self._tails.items():
            own = {source: end for source, end in ends.items() if source.topic == topic}
            if not tail.reached(own, max(0.0, deadline - time.monotonic())):
                raise Retry(tail.problem or f"topic {topic} is not read to its end yet")

    def _follow(self) -> dict[str, Tail]:
        takers = {
            FEEDBACK: self._take_posted,
            LABELS: self._take_label,
            OUTCOMES: self._take_outcome,
        }
        tails = {
            topic: Tail(self._broker, topic, self._absorb(take), newest=self._newest)
            for topic, take in takers.items()
        }
        models = self._absorb(self._take_model)
        tails[MODELS] = Tail(self._broker, MODELS, models, from_start=True)
        return {topic: tail.start() for topic, tail in tails.items()}

    def _absorb(self, take: Callable[[int, bytes], None]) -> Callable[[Batch], None]:
        def absorb(batch: Batch) -> None:
            with self._lock:
                for offset, value in zip(batch.offsets, batch.values, strict=True):
                    try:
                        take(offset, value or b"")
                    except _UNREADABLE:
                        continue  # its stage makes it a dead letter

        return absorb

    def _take_posted(self, offset: int, value: bytes) -> None:
        verdict = decode_verdict(value)
        self._posted.put(label_id_of(verdict), _Posted(verdict.transaction_id, offset))

    def _take_label(self, offset: int, value: bytes) -> None:
        label = _label(value)
        if self._labels.get(label.label_id) is not None:
            return
        label.offset = offset
        self._labels.put(label.label_id, label)
        before = self._holding.get(label.transaction_id)
        if before is None or label.given_us > before.given_us:
            self._holding.put(label.transaction_id, label)

    def _take_outcome(self, _offset: int, value: bytes) -> None:
        outcome = decode_outcome(value)
        if outcome.offset == NONE:
            self._unlearnt.put((outcome.label_id, outcome.bundle), outcome)
        else:
            self._unlabelled.put(outcome.label_id, outcome)

    def _take_model(self, _offset: int, value: bytes) -> None:
        message = model_message(value)
        if isinstance(message, Champion) and message.profile == self._profile:
            self._champion = message.bundle
        elif isinstance(message, OnlineWeights):
            self._learner_at[message.bundle] = message.labels

    def _status(self, label_id: str) -> Status | None:
        with self._lock:
            return self._known(label_id)

    def _known(self, label_id: str) -> Status | None:
        label = self._labels.get(label_id)
        told = self._unlearnt.get((label_id, self._champion))
        if label is not None:
            return self._of_label(label, told)
        if told is not None:
            return Status(label_id, told.transaction_id, told.outcome)
        posted, told = self._posted.get(label_id), self._unlabelled.get(label_id)
        if told is not None and (posted is None or told.offset >= posted.offset):
            return Status(label_id, told.transaction_id, told.outcome, told.reason, told.detail)
        return Status(label_id, posted.transaction_id, "waiting") if posted else None

    def _of_label(self, label: _Label, told: VerdictOutcome | None) -> Status:
        found = Status(label.label_id, label.transaction_id, "joined")
        holding = self._holding.get(label.transaction_id) or label
        if holding.given_us > label.given_us and holding.fraud != label.fraud:
            found.status, found.superseded_by = "superseded", holding.label_id
        elif told is not None:
            found.status = told.outcome
        elif self._learner_at.get(self._champion, 0) > label.offset:
            found.status = "learnt"
        return found
