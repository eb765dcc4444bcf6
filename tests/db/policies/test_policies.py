"""Rows to try a policy on, in both databases."""

from __future__ import annotations

import numpy as np
from sqlalchemy import text

from db.cases.verdicts import insert_verdicts
from db.engine import open_database
from db.policies.hits import hits_since
from db.policies.past import past_rows
from db.tables import transactions
from model.ensemble.thresholds import Fixed
from model.hashing import hash64
from model.policy.backtest import PartResult, backtest
from model.policy.compiled import CompiledPolicy
from tests.databases import statements
from tests.web import persist, scored, transaction
from tidegate.broker.memory.broker import MemoryBroker
from tidegate.messages.documents import Label
from tidegate.messages.policy import ListEntry, Policy, Rule, ValueList
from tidegate.pipeline import DLQ, SCORED
from tidegate.profile import load_profile

CARD = load_profile("card")
OWN = {"00aa11bb22cc33dd": Fixed(0.5, 0.9)}
POLICY = Policy(
    (
        Rule("cash", "merchant == 'Cash Point'", "block"),
        Rule("large", "amount > 100", "review"),
    ),
    (ValueList("known", "allow", "user_id", (ListEntry("friend"),)),),
)


def fill(url: str) -> None:
    """Rows as they came: amount, merchant, account, decision."""
    rows: list[tuple[float, str, str, str]] = [
        (50, "Cash Point", "u1", "approve"),
        (150, "Cash Point", "u2", "review"),
        (200, "Book Shop", "u3", "approve"),
        (300, "Book Shop", "friend", "block"),
        (10, "Book Shop", "u4", "approve"),
    ]
    frames = []
    for i, (amount, merchant, user, decision) in enumerate(rows):
        body = transaction(f"t{i}", merchant=merchant) | {"amount": amount, "user_id": user}
        score = {"approve": 0.1, "review": 0.6, "block": 0.95}[decision]
        frame = CARD.scored_layout.unpack([scored(CARD, body, decision, score)])
        frame.rows["values"][0, CARD.values.index("amount")] = amount
        frame.rows["keys"][0] = hashes(user, merchant)
        frames += list(CARD.scored_layout.pack(frame))
    persist(url, MemoryBroker({SCORED: 1, DLQ: 1}), CARD, frames)


def hashes(*texts: str) -> np.ndarray:
    return hash64([text.encode() for text in texts])


def say(url: str, *verdicts: tuple[str, bool, int, float]) -> None:
    """Verdicts: id, fraud, when, weight."""
    labels = [
        (
            offset,
            Label(
                name, f"l{offset}", fraud, "x", CARD.hash.decode(), 1, 2, given, [], [], 0.5,
                "approve", [], weight,
            ),
        )
        for offset, (name, fraud, given, weight) in enumerate(verdicts)
    ]  # fmt: skip
    database = open_database(url)
    with database.engine.begin() as connection:
        insert_verdicts(connection, labels)
    database.close()


def test_a_policy_is_tried_on_rows_and_their_verdicts(url: str) -> None:
    fill(url)
    say(
        url,
        ("t0", False, 1, 1.0),
        ("t0", True, 2, 1.0),
        ("t0", False, 9, 0.0),
        ("t1", False, 1, 1.0),
        ("t2", True, 1, 1.0),
        ("t3", False, 1, 1.0),
    )
    past = past_rows(url, CARD, 0)
    assert past.labels.tolist() == [-1, 0, 1, 0, 1], "the newest first, by the verdict that holds"
    result = backtest(CompiledPolicy(POLICY, CARD), past, OWN)
    assert (result.version, result.rows, result.verdicts) == (POLICY.version, 5, 4)
    assert (result.before.frauds_caught, result.after.frauds_caught) == (0, 2)
    assert (result.before.good_blocked, result.after.good_blocked) == (1, 1)
    assert (result.after.approve, result.after.review, result.after.block) == (2, 1, 2)
    assert (result.after.caught_minor, result.before.missed_minor) == (25_000, 25_000)
    assert result.changed == 4
    assert result.parts == [
        PartResult("cash", "block", 2, 1, 1, 1, 2, 5_000),
        PartResult("large", "review", 3, 1, 2, 2, 3, 20_000),
        PartResult("list:known", "allow", 1, 0, 1, 1, 1, 0),
    ]


def test_thresholds_are_tried_too(url: str) -> None:
    fill(url)
    policy = Policy(thresholds={"review": 0.05, "block": 0.5})
    result = backtest(CompiledPolicy(policy, CARD), past_rows(url, CARD, 0), OWN)
    assert (result.models.approve, result.models.review, result.models.block) == (0, 3, 2)
    assert (result.before.approve, result.after) == (3, result.models)


def test_without_thresholds_the_bundles_own_decide_again(url: str) -> None:
    """The rows were decided by a policy's thresholds, which the new one drops."""
    fill(url)
    past, dropped = past_rows(url, CARD, 0), CompiledPolicy(Policy(), CARD)
    result = backtest(dropped, past, {"00aa11bb22cc33dd": Fixed(0.05, 0.5)})
    assert (result.after.approve, result.after.review, result.after.block) == (0, 3, 2)
    assert (result.before.approve, result.changed, result.unknown) == (3, 4, 0)
    away = backtest(dropped, past, {})
    assert (away.after, away.unknown) == (away.before, 5)


def test_only_so_many_rows_of_so_many_days(url: str) -> None:
    fill(url)
    assert [len(past_rows(url, CARD, 0, most).labels) for most in (1, 3, 9)] == [1, 3, 5]
    nothing = past_rows(url, CARD, 1 << 60)
    assert backtest(CompiledPolicy(POLICY, CARD), nothing, OWN).rows == 0


def test_rows_that_are_too_old_are_not_looked_at(url: str) -> None:
    fill(url)
    database = open_database(url)
    with database.engine.begin() as connection:
        query = "SELECT seq FROM transactions ORDER BY seq"
        seqs = connection.scalars(text(query)).all()
        for number, seq in enumerate(seqs):
            moved = {"at": 100 + number, "seq": seq}
            statement = "UPDATE transactions SET ingested_us = :at WHERE seq = :seq"
            connection.execute(text(statement), moved)
    database.close()
    with statements() as executed:
        assert len(past_rows(url, CARD, 103).labels) == 2
    for statement, parameters in executed:
        if "features" in statement:
            given = parameters.values() if isinstance(parameters, dict) else parameters
            assert seqs[3] in given, "the first row that is new enough"


def test_hits_are_counted_by_name_and_at_least_where_there_are_more(url: str) -> None:
    """Rows of two policies, whose bits have other names, and rows that nothing hit."""
    bits = [b"\x01", b"\x03", b"\x01", b"", b"\x02"]
    broker = MemoryBroker({SCORED: 1, DLQ: 1})
    rows = [scored(CARD, transaction(f"t{place}")) for place in range(len(bits))]
    persist(url, broker, CARD, rows)
    table = transactions.c
    database = open_database(url)
    with database.engine.begin() as connection:
        for place, hit in enumerate(bits):
            changed = {
                "rule_hits": hit.ljust(16, b"\0") if hit else None,
                "policy": "ab"[place % 2],
                "ingested_us": 100 + place,
            }
            this = transactions.update().where(table.transaction_id == f"t{place}")
            connection.execute(this.values(**changed))
    database.close()
    names = {"a": {0: "one", 1: "two"}, "b": {0: "old"}}.__getitem__
    assert hits_since(url, 0, names) == ({"one": 2, "old": 1, "two": 1}, False)
    assert hits_since(url, 102, names) == ({"one": 1, "two": 1}, False)
    assert hits_since(url, 0, names, most=2) == ({"one": 1, "two": 1}, True)
    assert hits_since(url, 104, names, most=2) == ({"two": 1}, False)
