"""The checker finds nothing where all is right, and each fault in evidence made by hand."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from tests.chaos.checker import check
from tests.chaos.evidence import RAW, Evidence, Loss, Record, Row, transaction_of
from tests.chaos.features import HOUR, MINUTE, WINDOWS
from tests.chaos.ledger import Sent, digest
from tests.chaos.retention import gone_on_since
from tests.chaos.schedule import KINDS, draw

NOW_US = 1_800_000_000_000_000


def body(name: str, cents: int = 250, at_us: int = NOW_US) -> dict[str, object]:
    return {
        "transaction_id": name,
        "user_id": "u",
        "merchant": "m",
        "amount": cents / 100,
        "timestamp": datetime.fromtimestamp(at_us / 1e6, UTC).isoformat(),
    }


FIRST, CHANGED = body("t1"), body("t1", 350)
EARLY, SECOND, OLD = body("t2", at_us=NOW_US + HOUR), body("t3"), body("t4", at_us=NOW_US - HOUR)
VALUES = [
    *(json.dumps(one).encode() for one in (FIRST, FIRST, CHANGED, EARLY, SECOND, OLD)),
    b"poison",
]
REFUSED = {2: "conflicting_duplicate", 3: "bad_time", 6: "invalid_json"}


def record(offset: int, document: object) -> Record:
    return Record(0, offset, NOW_US // 1000, json.dumps(document).encode(), {})


def letter(offset: int, reason: str, topic: str = RAW) -> Record:
    told = {"topic": topic, "partition": "0", "offset": str(offset), "reason": reason}
    headers = {f"tidegate-{name}": text for name, text in told.items()}
    return Record(0, 100 + offset, 0, VALUES[offset], headers)


def row(offset: int, count: int, cents: int, decision: str = "approve") -> Row:
    features = {name: cents / 100 if window[3] else count for name, window in WINDOWS.items()}
    return Row(transaction_of(VALUES[offset]), ((0, offset), (0, offset)), decision, 0.5, features)


@pytest.fixture
def evidence() -> Evidence:
    """All is right: three rows, three dead letters, an alert, a label, a refused verdict."""
    unknown = letter(0, "unknown_transaction", "transactions.feedback")
    judged = {"label_id": "l2", "transaction_id": "t2", "fraud": True}
    return Evidence(
        Sent(
            {"t1": [FIRST, CHANGED], "t3": [SECOND], "t4": [OLD]},
            {(0, 6): digest(VALUES[6])},
            {digest(VALUES[6])},
            {"l1": ("t1", True), "l2": ("t2", True)},
        ),
        [Record(0, at, NOW_US // 1000, value, {}) for at, value in enumerate(VALUES)],
        [
            *(letter(offset, reason) for offset, reason in REFUSED.items()),
            unknown._replace(value=json.dumps(judged).encode()),
        ],
        [record(0, {"transaction_id": "t1", "decision": "block", "score": 0.5})],
        [record(0, {"label_id": "l1", "transaction_id": "t1", "fraud": True})],
        [row(0, 1, 250, "block"), row(4, 2, 500), row(5, 1, 250)],
    )


def violated(evidence: Evidence) -> set[str]:
    return {finding.check for finding in check(evidence) if finding.bad}


def test_it_finds_nothing_where_all_is_right(evidence: Evidence) -> None:
    assert violated(evidence) == set()


FAULTS: dict[str, tuple[Callable[[Evidence], object], set[str]]] = {
    "acknowledged and nowhere": (
        lambda e: e.sent.transactions.update(t9=[body("t9")]),
        {"acknowledged"},
    ),
    "produced and nowhere": (lambda e: e.sent.placed.update({(0, 99): "x"}), {"acknowledged"}),
    "a row is lost": (lambda e: e.rows.pop(1), {"rows"}),
    "a row is doubled": (lambda e: e.rows.append(row(5, 2, 500)), {"rows"}),
    "the second body of an id stays": (
        lambda e: e.rows.__setitem__(
            0, row(0, 1, 350, "block")._replace(transaction=transaction_of(VALUES[2]))
        ),
        {"rows", "features"},
    ),
    "a row made of poison": (
        lambda e: e.rows.append(row(5, 2, 500)._replace(places=((0, 6), (0, 6)))),
        {"rows"},
    ),
    "a dead letter is lost": (lambda e: e.dead.pop(0), {"dead letters"}),
    "a dead letter is doubled": (lambda e: e.dead.append(e.dead[0]), {"dead letters"}),
    "a good record is refused": (
        lambda e: e.dead.append(letter(4, "bad_time")),
        {"dead letters"},
    ),
    "a dead letter gives another reason": (
        lambda e: e.dead.__setitem__(0, letter(2, "bad_time")),
        {"dead letters"},
    ),
    "a dead letter is changed": (
        lambda e: e.dead.__setitem__(0, e.dead[0]._replace(value=b"?")),
        {"dead letters"},
    ),
    "a later step refuses": (
        lambda e: e.dead.append(letter(4, "not_storable", "transactions.scored")),
        {"dead letters"},
    ),
    "an alert is lost": (lambda e: e.alerts.clear(), {"alerts"}),
    "an alert is doubled": (lambda e: e.alerts.append(e.alerts[0]), {"alerts"}),
    "an alert on what was approved": (
        lambda e: e.alerts.append(
            record(1, {"transaction_id": "t3", "decision": "block", "score": 1})
        ),
        {"alerts"},
    ),
    "an alert with another score": (
        lambda e: e.alerts.__setitem__(
            0, record(0, {"transaction_id": "t1", "decision": "block", "score": 0.6})
        ),
        {"alerts"},
    ),
    "one is counted twice": (lambda e: e.rows.__setitem__(1, row(4, 3, 500)), {"features"}),
    "one is not counted": (lambda e: e.rows.__setitem__(1, row(4, 1, 500)), {"features"}),
    "an amount is counted twice": (lambda e: e.rows.__setitem__(1, row(4, 2, 750)), {"features"}),
    "a verdict is lost": (lambda e: e.labels.clear(), {"verdicts"}),
    "a verdict is turned": (
        lambda e: e.labels.append(
            record(1, {"label_id": "l1", "transaction_id": "t1", "fraud": False})
        ),
        {"verdicts"},
    ),
    "a label that nobody gave": (
        lambda e: e.labels.append(
            record(1, {"label_id": "l7", "transaction_id": "t1", "fraud": True})
        ),
        {"verdicts"},
    ),
    "a verdict on no row is lost": (lambda e: e.dead.pop(), {"verdicts"}),
    "deleted, and nobody says so": (lambda e: e.deleted.append(Loss(0, 7, 9)), {"losses"}),
    "said to be lost, and it is there": (
        lambda e: e.accepted.append(Loss(0, 0, 1)),
        {"losses", "rows"},
    ),
    "more is lost than was deleted": (
        lambda e: (e.deleted.append(Loss(0, 7, 8)), e.accepted.append(Loss(0, 7, 9))),
        {"losses"},
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_it_finds_a_fault(evidence: Evidence, fault: str) -> None:
    break_it, checks = FAULTS[fault]
    break_it(evidence)
    assert violated(evidence) == checks


def test_what_is_lost_and_said_to_be_gives_nothing(evidence: Evidence) -> None:
    """The poison at the end was never read: its dead letter is one too many."""
    evidence.deleted.append(Loss(0, 6, 7))
    evidence.accepted.append(Loss(0, 6, 7))
    assert violated(evidence) == {"dead letters"}
    evidence.dead = [one for one in evidence.dead if one.told("offset") != "6"]
    assert violated(evidence) == set()


@pytest.mark.parametrize(("count", "checks"), [(1, {"features"}), (2, set()), (3, {"features"})])
def test_a_late_payment_counts_those_before_its_own_time(
    evidence: Evidence, count: int, checks: set[str]
) -> None:
    late = json.dumps(body("t5", at_us=NOW_US - 30 * MINUTE)).encode()
    evidence.raw.append(Record(0, 7, NOW_US // 1000, late, {}))
    made = row(5, count, 250 * count)
    evidence.rows.append(made._replace(transaction=transaction_of(late), places=((0, 7), (0, 7))))
    assert violated(evidence) == checks


def test_a_seed_draws_one_schedule_with_every_fault() -> None:
    schedule = draw(7, 300, gap=5.0, longest=20.0)
    assert schedule == draw(7, 300, gap=5.0, longest=20.0)
    assert schedule != draw(8, 300, gap=5.0, longest=20.0)
    assert {fault.kind for fault in schedule} == KINDS.keys()


def test_what_is_deleted_behind_a_deletion_that_nobody_has_accepted_is_one_loss_with_it() -> None:
    before, later = [Loss(0, 5, 9), Loss(1, 5, 9)], [Loss(1, 5, 12)]
    assert gone_on_since(before, later) == [Loss(0, 5, 9)]
    assert gone_on_since(before, [Loss(1, 10, 12)]) == before
