"""Verdicts of a file posted through `/v1/feedback`, and watched until each is joined or refused."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from tidegate.broker.ports import Broker
from tidegate.broker.records import Batch, TopicPartition
from tidegate.client import Client
from tidegate.dead_letters.letters import dead_letters
from tidegate.errors import Retry, TidegateError
from tidegate.messages.documents import Verdict, decode_outcome, encode
from tidegate.pipeline import DLQ, FEEDBACK, LABELS, OUTCOMES, OVER_QUOTA

UNKNOWN = "unknown_transaction"
"""The reason of the dead letter of a verdict whose transaction never became a row."""
_BATCH = 1000
_NO_LABEL = frozenset({"passed_over", OVER_QUOTA})
"""Outcomes of verdicts that become neither labels nor dead letters."""

Progress = Callable[[float, str], None]
"""Called with the share done, and what is done."""


class _Named(msgspec.Struct):
    """What a label, and a verdict among the dead letters, are known by."""

    label_id: str = ""


_named = msgspec.json.Decoder(_Named).decode


@dataclass(slots=True)
class Outcome:
    """What became of verdicts: joined with their rows, of unknown transactions, or left out."""

    joined: int = 0
    unknown: list[str] = field(default_factory=list)
    """Ids of transactions that are no rows, in the order in which that became known."""
    refused: dict[str, int] = field(default_factory=dict)
    """How many were refused for another reason, or passed over, by reason."""


class FollowVerdicts:
    """Watches labels, outcomes and dead letters for verdicts that are posted after it is made.

    `expect` says which, before the first look: by the ids that the API answered. Every verdict
    needs a label id of its own.
    """

    def __init__(self, broker: Broker) -> None:
        self._waiting: dict[str, str] = {}
        self.total = 0
        self._joined = 0
        self._unknown: list[str] = []
        self._refused: Counter[str] = Counter()
        self._consumer = broker.consumer(None)
        self._consumer.assign(self._ends())

    def expect(self, transactions: Mapping[str, str]) -> None:
        """Wait for verdicts: the transaction id of each label id."""
        self._waiting = dict(transactions)
        self.total = len(self._waiting)

    def _ends(self) -> Mapping[TopicPartition, int]:
        return {
            partition: self._consumer.bounds(partition)[1]
            for topic in (LABELS, OUTCOMES, DLQ)
            for partition in self._consumer.partitions(topic)
        }

    @property
    def settled(self) -> int:
        """Verdicts whose fate is known."""
        return self.total - len(self._waiting)

    @property
    def outcome(self) -> Outcome:
        return Outcome(self._joined, list(self._unknown), dict(self._refused))

    def poll(self, timeout: float = 0.2) -> bool:
        """Look again; True when every verdict is settled."""
        for batch in self._consumer.poll(5000, timeout):
            if batch.source.topic == LABELS:
                self._join(batch)
            elif batch.source.topic == OUTCOMES:
                self._pass_over(batch)
            else:
                self._refuse(batch)
        return not self._waiting

    def _join(self, batch: Batch) -> None:
        for value in batch.values:
            if self._waiting.pop(_label_id(value), None) is not None:
                self._joined += 1

    def _pass_over(self, batch: Batch) -> None:
        for value in batch.values:
            outcome = decode_outcome(value or b"")
            if outcome.outcome in _NO_LABEL and outcome.label_id in self._waiting:
                del self._waiting[outcome.label_id]
                self._refused[outcome.reason] += 1

    def _refuse(self, batch: Batch) -> None:
        for letter in dead_letters(batch):
            if letter.told.get("topic") != FEEDBACK:
                continue
            transaction_id = self._waiting.pop(_label_id(letter.value), None)
            if transaction_id is None:
                continue
            reason = letter.told.get("reason", "")
            if reason == UNKNOWN:
                self._unknown.append(transaction_id)
            else:
                self._refused[reason] += 1

    def close(self) -> None:
        self._consumer.close()


def _label_id(value: bytes | None) -> str:
    try:
        return _named(value or b"").label_id
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ""


def post_verdicts(
    client: Client, verdicts: Sequence[Verdict], progress: Progress
) -> dict[str, str]:
    """Post them in order: the transaction id of each label id, as the API calls it.

    The label ids make it safe to do it again. Raises Retry when the API stays away.
    """
    posted: dict[str, str] = {}
    for start in range(0, len(verdicts), _BATCH):
        batch = verdicts[start : start + _BATCH]
        status, document = client.post("/v1/feedback", encode(batch))
        end = start + len(batch)
        if status != 202:
            raise TidegateError(
                f"the API answered {status} for the verdicts {start + 1} to {end}: "
                f"{document.get('detail', document)}"
            )
        names = [verdict.transaction_id for verdict in batch]
        posted.update(zip(document["label_ids"], names, strict=True))
        progress(end / len(verdicts), f"posted {end:,} of {len(verdicts):,}")
    return posted


def wait_for_verdicts(
    follow: FollowVerdicts, stop: threading.Event, progress: Progress, patience: float = 90.0
) -> Outcome:
    """Wait until all are settled, or `stop` is set. An unknown transaction takes the label stage
    30 s to tell.

    Raises Retry when for `patience` s none moved.
    """
    moved, settled = time.monotonic(), follow.settled
    while not follow.poll() and not stop.is_set():
        if follow.settled != settled:
            moved, settled = time.monotonic(), follow.settled
        elif time.monotonic() > moved + patience:
            raise Retry(
                f"{follow.total - settled:,} of {follow.total:,} verdicts are posted, but neither "
                f"joined with their rows nor refused, and for {patience:.0f} s none moved: "
                "`tidegate status` says why. The same command waits again"
            )
        progress(settled / follow.total, f"settled {settled:,} of {follow.total:,}")
    return follow.outcome
