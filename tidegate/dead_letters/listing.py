"""The dead letters there are, for people: which transaction, why, and whether a redrive took it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice

import msgspec

from tidegate.broker.ports import Broker, Consumer
from tidegate.dead_letters.letters import DeadLetter, identity_of, read_all, transaction_id
from tidegate.dead_letters.plan import Mark
from tidegate.messages.vault import Vault
from tidegate.pipeline import DLQ, REDRIVEN
from tidegate.profile import Profile


@dataclass(frozen=True, slots=True)
class Entry:
    """One dead letter. `place` is PARTITION:OFFSET, as `redrive --offset` takes it."""

    place: str
    time_ms: int
    transaction_id: str
    """Empty where it cannot be read."""
    stage: str
    reason: str
    detail: str
    attempt: int
    action: str
    """What a redrive did with it (redriven, quarantined or dropped), or empty while it waits."""


@dataclass(slots=True)
class Waiting:
    """How many dead letters no redrive has dealt with, by reason.

    `complete` is False when only the newest were looked at.
    """

    reasons: dict[str, int] = field(default_factory=dict)
    complete: bool = True

    @property
    def count(self) -> int:
        return sum(self.reasons.values())


def entries(
    broker: Broker,
    profile: Profile,
    *,
    reason: str = "",
    waiting: bool = False,
    limit: int = 0,
    vault: Vault | None = None,
) -> list[Entry]:
    """The newest `limit` dead letters (0: all), newest first, copies of one letter counted once.

    `reason` keeps those with that reason, `waiting` those that no redrive has dealt with.
    """
    consumer = broker.consumer(None)
    try:
        actions = _actions(consumer)
        found = _distinct(read_all(consumer, DLQ, vault=vault))
        letters = sorted(found, key=lambda letter: letter.timestamp_ms)
    finally:
        consumer.close()
    selected = (
        letter
        for letter in reversed(letters)
        if (not reason or letter.told.get("reason") == reason)
        and not (waiting and identity_of(letter) in actions)
    )
    return [
        _entry(profile, letter, actions) for letter in islice(selected, limit if limit else None)
    ]


def waiting_letters(broker: Broker, newest: int) -> Waiting:
    """Count what waits among the `newest` records of each partition of the dead letters."""
    consumer = broker.consumer(None)
    try:
        bounds = [consumer.bounds(partition) for partition in consumer.partitions(DLQ)]
        actions = _actions(consumer)
        reasons = Counter(
            letter.told.get("reason", "")
            for letter in _distinct(read_all(consumer, DLQ, newest))
            if identity_of(letter) not in actions
        )
    finally:
        consumer.close()
    complete = all(end - first <= newest for first, end in bounds)
    return Waiting(dict(reasons.most_common()), complete)


def _actions(consumer: Consumer) -> dict[str, str]:
    """What redrives did, by the identity of the dead letter."""
    actions: dict[str, str] = {}
    for record in read_all(consumer, REDRIVEN):
        mark = msgspec.json.decode(record.value or b"", type=Mark)
        actions[mark.identity] = mark.action
    return actions


def _distinct(letters: Iterator[DeadLetter]) -> Iterator[DeadLetter]:
    seen: set[str] = set()
    for letter in letters:
        identity = identity_of(letter)
        if identity not in seen:
            seen.add(identity)
            yield letter


def _entry(profile: Profile, letter: DeadLetter, actions: dict[str, str]) -> Entry:
    return Entry(
        place=f"{letter.place[0]}:{letter.place[1]}",
        time_ms=letter.timestamp_ms,
        transaction_id=transaction_id(profile, letter),
        stage=letter.told.get("stage", ""),
        reason=letter.told.get("reason", ""),
        detail=profile.masks.said(letter.told.get("detail", ""), letter.plain),
        attempt=letter.attempt,
        action=actions.get(identity_of(letter), ""),
    )
