"""The offline checker: what was acknowledged against what came of it, without the product's code.

A record of the raw topic is judged by its place in the log alone: poison, and what is dated too far
ahead, must be one dead letter; the first record of an id must be one row; the same again nothing;
another body under the id one dead letter. Every check gives its figures and whatever offends.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from functools import cached_property
from typing import NamedTuple

from tests.chaos.evidence import RAW, Evidence, Record, Transaction, transaction_of
from tests.chaos.features import AHEAD, features
from tests.chaos.finding import Finding
from tests.chaos.ledger import Place, digest


class Outcome(NamedTuple):
    """What must come of a record: "row", "dead" for these reasons (empty: any), or "nothing".

    Also nothing comes of what was "lost", and no later record of its id repeats it.
    """

    kind: str
    transaction: Transaction | None = None
    reason: str = ""


class Judge:
    """What the raw topic says must have happened."""

    def __init__(self, evidence: Evidence) -> None:
        self._evidence = evidence

    @cached_property
    def outcomes(self) -> dict[Place, Outcome]:
        """Of every record of the raw topic."""
        first: dict[str, Transaction] = {}
        records = sorted(self._evidence.raw, key=lambda record: record.place)
        return {
            record.place: Outcome("lost") if self._lost(record) else self._outcome(record, first)
            for record in records
        }

    def _lost(self, record: Record) -> bool:
        return any(
            loss.partition == record.partition and loss.offset <= record.offset < loss.until
            for loss in self._evidence.accepted
        )

    def _outcome(self, record: Record, first: dict[str, Transaction]) -> Outcome:
        if digest(record.value) in self._evidence.sent.bad:
            return Outcome("dead")
        transaction = transaction_of(record.value or b"")
        if transaction.time_us > record.time_ms * 1000 + AHEAD:
            return Outcome("dead", transaction, "bad_time")
        known = first.setdefault(transaction.id, transaction)
        if known is transaction:
            return Outcome("row", transaction)
        if known == transaction:
            return Outcome("nothing", transaction)
        return Outcome("dead", transaction, "conflicting_duplicate")


def check(evidence: Evidence) -> list[Finding]:
    """All checks but that of the weights."""
    judge = Judge(evidence)
    overrun = [losses(evidence)] if evidence.deleted or evidence.accepted else []
    return [
        acknowledged(evidence),
        *overrun,
        rows(evidence, judge),
        dead_letters(evidence, judge),
        alerts(evidence),
        features(evidence),
        verdicts(evidence),
    ]


def acknowledged(evidence: Evidence) -> Finding:
    """All that was acknowledged is on the raw topic."""
    by_place = {record.place: record for record in evidence.raw}
    known = {
        transaction_of(record.value or b"")
        for record in evidence.raw
        if digest(record.value) not in evidence.sent.bad
    }
    posted = [
        (name, transaction_of(json.dumps(body)))
        for name, bodies in evidence.sent.transactions.items()
        for body in bodies
    ]
    bad = [f"{name}: acknowledged, not on the topic" for name, one in posted if one not in known]
    bad += [
        f"offset {place}: acknowledged, not on the topic"
        for place, content in evidence.sent.placed.items()
        if place not in by_place or digest(by_place[place].value) != content
    ]
    figures = {
        "posted": len(posted),
        "produced": len(evidence.sent.placed),
        "records": len(by_place),
    }
    return Finding("acknowledged", figures, bad)


def losses(evidence: Evidence) -> Finding:
    """Exactly what was deleted before it was read is said to be lost."""
    deleted, accepted = set(evidence.deleted), set(evidence.accepted)
    bad = [f"{loss}: deleted unread, and nobody said so" for loss in deleted - accepted]
    bad += [f"{loss}: said to be lost, but it was not deleted" for loss in accepted - deleted]
    figures = {
        "deleted": sum(loss.until - loss.offset for loss in deleted),
        "said": sum(loss.until - loss.offset for loss in accepted),
    }
    return Finding("losses", figures, bad)


def rows(evidence: Evidence, judge: Judge) -> Finding:
    """Exactly the first record of each id is a row, with its own body."""
    wanted = {place: o.transaction for place, o in judge.outcomes.items() if o.kind == "row"}
    found = Counter(row.places[0] for row in evidence.rows)
    bad = [
        f"{one.id if one else place}: lost, no row"
        for place, one in wanted.items()
        if place not in found
    ]
    bad += [f"offset {place}: {n} rows" for place, n in found.items() if n > 1]
    for row in evidence.rows:
        place = row.places[0]
        if place not in wanted:
            bad.append(f"{row.transaction.id}: a row made of offset {place}, which gives none")
        elif wanted[place] != row.transaction:
            bad.append(f"{row.transaction.id}: another body than at offset {place}")
    repeats = sum(outcome.kind == "nothing" for outcome in judge.outcomes.values())
    return Finding(
        "rows", {"wanted": len(wanted), "rows": len(evidence.rows), "repeats": repeats}, bad
    )


def dead_letters(evidence: Evidence, judge: Judge) -> Finding:
    """Exactly what must be refused is a dead letter, once, for its reason, and untouched."""
    wanted = {place: o for place, o in judge.outcomes.items() if o.kind == "dead"}
    values = {record.place: record.value for record in evidence.raw}
    found: dict[Place, list[Record]] = defaultdict(list)
    bad = []
    for letter in evidence.dead:
        if letter.told("topic") == RAW:
            found[int(letter.told("partition")), int(letter.told("offset"))].append(letter)
        elif letter.told("reason") != "unknown_transaction":
            bad.append(f"{letter.told('key')}: a dead letter {letter.told('reason')}")
    bad += [f"offset {place}: lost, no dead letter" for place in wanted.keys() - found.keys()]
    for place, letters in found.items():
        outcome = wanted.get(place)
        if outcome is None:
            bad.append(f"offset {place}: refused as {letters[0].told('reason')}, but it is good")
        elif len(letters) > 1:
            bad.append(f"offset {place}: {len(letters)} dead letters")
        elif outcome.reason not in ("", letters[0].told("reason")):
            bad.append(f"offset {place}: {letters[0].told('reason')} instead of {outcome.reason}")
        elif letters[0].value != values[place]:
            bad.append(f"offset {place}: the dead letter has another value")
    reasons = Counter(outcome.reason or "poison" for outcome in wanted.values())
    return Finding("dead letters", {"wanted": len(wanted), **reasons}, bad)


def alerts(evidence: Evidence) -> Finding:
    """One alert for each row that is not approved, with its decision and score."""
    wanted = {
        row.transaction.id: (row.decision, row.score)
        for row in evidence.rows
        if row.decision != "approve"
    }
    documents = [json.loads(record.value or b"") for record in evidence.alerts]
    found = Counter(document["transaction_id"] for document in documents)
    bad = [f"{name}: no alert" for name in wanted.keys() - found.keys()]
    bad += [f"{name}: an alert, but no such row" for name in found.keys() - wanted.keys()]
    bad += [f"{name}: {n} alerts" for name, n in found.items() if n > 1]
    bad += [
        f"{document['transaction_id']}: the alert and its row differ"
        for document in documents
        if (document["decision"], document["score"])
        != wanted.get(document["transaction_id"], (document["decision"], document["score"]))
    ]
    return Finding("alerts", {"flagged": len(wanted), "alerts": len(documents)}, bad)


def verdicts(evidence: Evidence) -> Finding:
    """Every verdict on a row is a label, every other one a dead letter; none says another thing."""
    known = {row.transaction.id for row in evidence.rows}
    labels: dict[str, set[tuple[str, bool]]] = defaultdict(set)
    for record in evidence.labels:
        document = json.loads(record.value or b"")
        labels[document["label_id"]].add((document["transaction_id"], document["fraud"]))
    dead = {
        json.loads(letter.value or b"")["label_id"]
        for letter in evidence.dead
        if letter.told("reason") == "unknown_transaction"
    }
    bad = [
        f"{name}: a label that nobody gave"
        for name in labels.keys() - evidence.sent.verdicts.keys()
    ]
    for name, said in evidence.sent.verdicts.items():
        if said[0] in known:
            if labels.get(name) != {said}:
                bad.append(f"{name}: {labels.get(name, 'no label')} instead of {said}")
        elif name not in dead or name in labels:
            bad.append(f"{name}: not one dead letter, but the verdict is on no row")
    figures = {"verdicts": len(evidence.sent.verdicts), "labels": len(labels), "refused": len(dead)}
    return Finding("verdicts", figures, bad)
