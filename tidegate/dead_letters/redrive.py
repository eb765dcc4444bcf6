"""Put dead letters back to the topic of the stage that failed, each at most once.

In one Kafka transaction go the records put back and, on `transactions.redriven`, a mark for each
dead letter dealt with. A redrive first fences any other one (they share a transactional id), then
reads the marks, so that running it twice, side by side, or after a crash in the middle gives the
same rows. The dead letters themselves stay where they are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice

from tidegate.broker.ports import Broker, Consumer, TransactionalProducer
from tidegate.dead_letters.judgement import ATTEMPTS
from tidegate.dead_letters.letters import (
    DeadLetter,
    edited_copy,
    identity_of,
    message_of,
    read_all,
    records_of,
)
from tidegate.dead_letters.plan import EDITED, Edit, Plan, Policy, Summary
from tidegate.dead_letters.putting_back import headers_of, obstacle
from tidegate.dead_letters.reading import Place, letters_at
from tidegate.dead_letters.selection import CONFLICT, Selection
from tidegate.errors import Stop
from tidegate.messages.ciphertext import ERASED
from tidegate.messages.vault import Vault
from tidegate.pipeline import DLQ, FRAMES, QUARANTINE, REDRIVEN
from tidegate.profile import Profile

TRANSACTIONAL_ID = "tidegate.redrive"
_IN_ONE_TRANSACTION = 500


def redrive(
    broker: Broker,
    profile: Profile,
    selection: Selection,
    *,
    dry_run: bool = False,
    most: int = 0,
    policy: Policy = "stop",
    attempts: int = ATTEMPTS,
    vault: Vault | None = None,
    edits: Mapping[Place, Edit] | None = None,
    summary: Summary | None = None,
) -> Summary:
    """Put the selected dead letters back, at most `most` (0: all there are now).

    One that has failed `attempts` times goes to the quarantine topic instead (0: every one).
    `dry_run` writes nothing. `vault` is an erasable profile's. `edits` go in the places of the
    letters there. `summary` is filled in as it goes on, for whoever watches. Raises Stop for one
    that cannot be put back under policy `stop` (those before it are done), Aborted or Fenced as the
    broker does, Retry.
    """
    producer = (
        None if dry_run else broker.transactional_producer(TRANSACTIONAL_ID)
    )  # first: it fences others
    consumer = broker.consumer(None)
    try:
        redriver = Redriver(
            consumer, producer, profile, selection, policy, attempts, vault=vault, edits=edits
        )
        redriver.summary = summary or redriver.summary
        redriver.summary.dry_run = dry_run
        return redriver.run(most)
    finally:
        consumer.close()
        if producer is not None:
            producer.close()


class Redriver:
    """One run. `consumer` reads by assignment; `producer` is None in a dry run."""

    def __init__(
        self,
        consumer: Consumer,
        producer: TransactionalProducer | None,
        profile: Profile,
        selection: Selection,
        policy: Policy,
        attempts: int,
        *,
        vault: Vault | None = None,
        edits: Mapping[Place, Edit] | None = None,
    ) -> None:
        self._vault, self._edits = vault, edits or {}
        self._consumer, self._producer, self._profile = consumer, producer, profile
        self._selection, self._policy, self._attempts = selection, policy, attempts
        self._done: set[str] = set()
        self.summary = Summary()

    def run(self, most: int) -> Summary:
        """Read the marks, then deal with the dead letters there are now."""
        self._done = {
            letter.key.decode() for letter in read_all(self._consumer, REDRIVEN) if letter.key
        }
        selected = self._selected()
        plans = self._plans(islice(selected, most) if most else selected)
        while part := list(islice(plans, _IN_ONE_TRANSACTION)):
            stuck = next(
                (
                    i
                    for i, plan in enumerate(part)
                    if plan.action == "left" and self._policy == "stop"
                ),
                None,
            )
            self._write(part[:stuck])
            if stuck is not None:
                letter = part[stuck].letter
                fault = obstacle(self._profile, letter)
                raise Stop(
                    f"dead letter {letter.place[0]}:{letter.place[1]} cannot be put back: "
                    f"{fault.detail if fault else ''}. "
                    f"Done before it: {self.summary.redriven or 'nothing'}. "
                    "Go on with --policy reinsert (leave such ones) or --policy drop (give them up)"
                )
        return self.summary

    def _selected(self) -> Iterator[DeadLetter]:
        """The ones meant that no redrive has dealt with, one of each identity."""
        for letter in self._letters():
            if identity_of(letter) in self._done:
                self.summary.before += 1
            elif not self._selection.takes(self._profile, letter):
                self.summary.not_selected += 1
            elif letter.told.get("reason") == CONFLICT and not self._selection.takes_conflicts:
                self.summary.conflicts += 1
            else:
                self._done.add(identity_of(letter))
                yield letter

    def _letters(self) -> Iterator[DeadLetter]:
        """Those that may be meant: all, or those at the places that are named."""
        if not self._selection.places:
            yield from read_all(self._consumer, DLQ, vault=self._vault)
        places = iter(sorted(self._selection.places))
        while part := list(islice(places, _IN_ONE_TRANSACTION)):
            found = letters_at(self._consumer, part, self._vault)
            yield from (found[place] for place in part if place in found)

    def _plans(self, letters: Iterable[DeadLetter]) -> Iterator[Plan]:
        for letter in letters:
            edit = self._edits.get(letter.place)
            if edit is not None:
                copy = edited_copy(self._profile, letter, edit.value)
                yield self._plan(copy, (EDITED, edit.by.encode()), back=True)
            else:
                yield self._plan(letter, back=letter.attempt < self._attempts)

    def _plan(self, letter: DeadLetter, *more: tuple[str, bytes], back: bool) -> Plan:
        """What becomes of one: `back` to its stage, with `more` headers, or to the quarantine."""
        hopeless = self._attempts == 0 and not back and letter.plain != ERASED
        if not hopeless and obstacle(self._profile, letter):
            return Plan(letter, "dropped" if self._policy == "drop" else "left")
        if not back:
            return Plan(letter, "quarantined", QUARANTINE, letter.headers)
        return Plan(letter, "redriven", letter.told["topic"], [*headers_of(letter), *more])

    def _write(self, plans: list[Plan]) -> None:
        """One transaction: the records, and a mark for each."""
        marked = [plan for plan in plans if plan.action != "left"]
        if self._producer is not None and marked:
            topics = sorted({plan.topic for plan in marked if plan.topic})
            sent = {topic: [plan for plan in marked if plan.topic == topic] for topic in topics}
            records = {
                topic: records_of(self._profile, [plan.letter for plan in sent[topic]], self._vault)
                for topic in topics
            }
            self._producer.begin()
            for topic in topics:
                self._producer.produce(
                    topic,
                    [key for key, _ in records[topic]],
                    [message_of(topic, value) for _, value in records[topic]],
                    [plan.headers for plan in sent[topic]],
                    self._homes(topic, sent[topic]),
                )
            self._producer.produce(
                REDRIVEN, [identity_of(p.letter).encode() for p in marked], [p.mark for p in marked]
            )
            self._producer.commit()
        self._count(plans)

    def _homes(self, topic: str, plans: list[Plan]) -> list[int] | None:
        """The partitions that frames came from, whose keys blocks do not carry; else by key."""
        if topic not in FRAMES:
            return None
        count = len(self._consumer.partitions(topic))
        return [int(plan.letter.told.get("partition") or 0) % count for plan in plans]

    def _count(self, plans: list[Plan]) -> None:
        summary = self.summary
        actions = Counter(plan.action for plan in plans)
        summary.quarantined += actions["quarantined"]
        summary.dropped += actions["dropped"]
        summary.left += actions["left"]
        for plan in plans:
            reason = plan.letter.told.get("reason", "")
            summary.reasons[reason] = summary.reasons.get(reason, 0) + 1
            if plan.action == "redriven":
                summary.redriven[plan.topic] = summary.redriven.get(plan.topic, 0) + 1
