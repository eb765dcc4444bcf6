"""What is known of the newest verdicts, from the records of the topics that they pass."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeVar

import msgspec

from model.bundles.promotion import model_message
from model.verdicts import holds, label_numbers
from tidegate.broker.records import Batch, Position, TopicPartition
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
from tidegate.stream import waiting

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

    def drop(self, key: K) -> None:
        """Forget it."""
        self._young.pop(key, None)
        self._old.pop(key, None)


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
    weight: float = 1.0
    offset: int = NONE
    number: int = 0
    """See `model.verdicts.label_numbers`."""

    def holds(self, other: _Label) -> bool:
        """Whether this one holds against another one on its transaction."""
        return holds(self.given_us, self.number, other.given_us, other.number)


_label = msgspec.json.Decoder(_Label).decode
_UNREADABLE = msgspec.DecodeError, UnicodeDecodeError, RecursionError


class Verdicts:
    """The newest of each: verdicts, labels, outcomes. Not thread-safe; `profile` is a hash.

    `label_at` are positions of the label stage that were committed before the first record is
    taken: what became of a verdict before them, unless it waits, has been told.
    """

    def __init__(
        self, profile: str, newest: int, label_at: Mapping[TopicPartition, Position]
    ) -> None:
        self._profile = profile
        self._label_at = {
            source: (position.offset, frozenset(waiting.decode(position.note)))
            for source, position in label_at.items()
        }
        self._posted: Recent[str, _Posted] = Recent(newest)
        """Verdicts of which nothing is known but that they are there."""
        self._labels: Recent[str, _Label] = Recent(newest)
        """The first label with each id that has a weight, else the newest."""
        self._holding: Recent[str, _Label] = Recent(newest)
        """The label that holds on each transaction."""
        self._unlabelled: Recent[str, VerdictOutcome] = Recent(newest)
        self._unlearnt: Recent[tuple[str, str], VerdictOutcome] = Recent(newest)
        """What a bundle's learner said of a label, by the label's id and the bundle."""
        self._learner_at: dict[str, int] = {}
        self._champion = ""
        self._takers = {
            FEEDBACK: self._take_posted,
            LABELS: self._take_label,
            OUTCOMES: self._take_outcome,
            MODELS: self._take_model,
        }
        holds(0, int(label_numbers([""])[0]), 0, 0)  # compiled now, while no batch waits

    def take(self, batch: Batch) -> None:
        """Records of one of the topics, in their order; passes over those that it cannot read."""
        take = self._takers[batch.source.topic]
        for offset, value in zip(batch.offsets, batch.values, strict=True):
            try:
                take(batch.source, offset, value or b"")
            except _UNREADABLE:
                continue  # its stage makes it a dead letter

    def status(self, label_id: str) -> Status | None:
        """What became of this verdict; None where it is not among the newest."""
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

    def _take_posted(self, source: TopicPartition, offset: int, value: bytes) -> None:
        verdict = decode_verdict(value)
        label_id = label_id_of(verdict)
        if self._labels.get(label_id) is not None:
            return
        position, waits = self._label_at.get(source, (0, frozenset()))
        if offset >= position or offset in waits:
            self._posted.put(label_id, _Posted(verdict.transaction_id, offset))

    def _take_label(self, _source: TopicPartition, offset: int, value: bytes) -> None:
        label = _label(value)
        self._posted.drop(label.label_id)
        first = self._labels.get(label.label_id)
        if first is not None and first.weight:
            return
        if not label.weight:
            self._labels.put(label.label_id, label)
            return
        label.offset = offset
        label.number = int(label_numbers([label.label_id])[0])
        self._labels.put(label.label_id, label)
        before = self._holding.get(label.transaction_id)
        if before is None or label.holds(before):
            self._holding.put(label.transaction_id, label)

    def _take_outcome(self, _source: TopicPartition, _offset: int, value: bytes) -> None:
        outcome = decode_outcome(value)
        if outcome.offset == NONE:
            self._unlearnt.put((outcome.label_id, outcome.bundle), outcome)
        else:
            self._unlabelled.put(outcome.label_id, outcome)
            posted = self._posted.get(outcome.label_id)
            if posted is not None and outcome.offset >= posted.offset:
                self._posted.drop(outcome.label_id)

    def _take_model(self, _source: TopicPartition, _offset: int, value: bytes) -> None:
        message = model_message(value)
        if isinstance(message, Champion) and message.profile == self._profile:
            self._champion = message.bundle
        elif isinstance(message, OnlineWeights):
            self._learner_at[message.bundle] = message.labels

    def _of_label(self, label: _Label, told: VerdictOutcome | None) -> Status:
        found = Status(label.label_id, label.transaction_id, "joined")
        if not label.weight:
            found.status = "recorded"
            return found
        holding = self._holding.get(label.transaction_id) or label
        if holding.fraud != label.fraud and holding.holds(label):
            found.status, found.superseded_by = "superseded", holding.label_id
        elif told is not None:
            found.status = told.outcome
        elif self._learner_at.get(self._champion, 0) > label.offset:
            found.status = "learnt"
        return found
