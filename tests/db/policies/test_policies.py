"""Rows to try a policy on, and proposals, in both databases."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from sqlalchemy import select, text

from db.cases.verdicts import insert_verdicts
from db.engine import open_database, reading
from db.policies.hits import hits_since
from db.policies.past import past_rows
from db.policies.proposals import Proposals, State
from db.policies.tables import policy_proposals
from db.tables import transactions
from model.ensemble.thresholds import Fixed
from model.hashing import hash64
from model.policy.backtest import Backtest, DecidedRows, PartResult, backtest
from model.policy.compiled import CompiledPolicy
from model.policy.facts import Rows
from tests.databases import statements
from tests.web import persist, scored, transaction
from tidegate.broker.memory.broker import MemoryBroker
from tidegate.clock import now_us
from tidegate.errors import Retry
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


def came_into_force(version: str, _since_us: int) -> bool:
    """As topic promotions would say where POLICY alone did."""
    return version == POLICY.version


@pytest.fixture
def proposals(url: str) -> Iterator[Proposals]:
    made = Proposals(url, "p1", came_into_force)
    yield made
    made.close()


def test_a_draft_is_one_for_each_author(proposals: Proposals, url: str) -> None:
    assert proposals.draft("ana") is None
    first = proposals.write_draft("ana", POLICY, "v0")
    proposals.write_draft("bo", Policy(), "v1")
    again = proposals.write_draft("ana", Policy(POLICY.rules), "ignored")
    assert (again.id, again.instead_of, again.policy) == (first.id, "v0", Policy(POLICY.rules))
    assert proposals.draft("ana") == again
    other = Proposals(url, "p2", came_into_force)
    assert (other.draft("ana"), other.get(again.id)) == (None, None)
    other.discard("ana")
    other.close()
    proposals.discard("ana")
    assert proposals.draft("ana") is None
    assert proposals.draft("bo")


def test_a_backtest_is_of_one_version(proposals: Proposals) -> None:
    draft = proposals.write_draft("ana", POLICY, "v0")
    result = an_empty_backtest(POLICY)
    proposals.keep_backtest(draft.id, result)
    assert known(proposals, draft.id)["backtest"] == result
    proposals.write_draft("ana", Policy(), "v0")
    assert known(proposals, draft.id)["backtest"] is None


def test_a_proposal_waits_until_it_is_decided(proposals: Proposals) -> None:
    draft = proposals.write_draft("ana", POLICY, "v0")
    assert proposals.waiting() == []
    assert proposals.decide(draft, "proposed", "")
    assert [each.id for each in proposals.waiting()] == [draft.id]
    assert proposals.draft("ana") is None
    proposal = proposals.waiting()[0]
    assert proposals.decide(proposal, "applied", "bo")
    assert not proposals.decide(proposal, "rejected", "cy"), "bo was first"
    assert proposals.waiting() == []
    found = known(proposals, draft.id)
    assert (found["state"], found["decided_by"]) == ("applied", "bo")


@pytest.mark.parametrize("state", ["applied", "rejected"])
def test_what_a_decided_proposal_said_is_deleted(
    proposals: Proposals, url: str, state: State
) -> None:
    draft = proposals.write_draft("ana", POLICY, "v0")
    proposals.keep_backtest(draft.id, an_empty_backtest(POLICY))
    proposals.forget(draft)
    assert known(proposals, draft.id)["policy"] == POLICY, "it is not decided"
    assert proposals.decide(draft, state, "bo")
    proposals.forget(draft)
    with reading(url) as connection:
        [row] = connection.execute(select(policy_proposals)).all()
    assert (row.policy, row.backtest) == ("{}", None)
    assert (row.version, row.state, row.decided_by) == (POLICY.version, state, "bo")
    assert known(proposals, draft.id)["version"] == POLICY.version


@pytest.fixture
def ago(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Let what is written now be so many hours old."""

    def set_clock(hours: float) -> None:
        past = int(hours * 3_600_000_000)
        monkeypatch.setattr("db.policies.proposals.now_us", lambda: now_us() - past)

    return set_clock


def said(url: str) -> dict[str, tuple[str, bool]]:
    """By author: the state, and whether what it said is there."""
    with reading(url) as connection:
        rows = connection.execute(select(policy_proposals)).all()
    return {row.author: (row.state, row.policy != "{}") for row in rows}


def leave(url: str, profile: str, author: str, state: State, policy: Policy = POLICY) -> None:
    """What a process has left that ended in this state of a proposal."""
    left = Proposals(url, profile, came_into_force)
    draft = left.write_draft(author, policy, "v0")
    assert left.decide(draft, state, "bo")
    left.close()


def test_what_a_process_left_that_ended_in_between_is_deleted_an_hour_later(
    proposals: Proposals, url: str, ago: Callable[[float], None]
) -> None:
    ago(1.1)
    leave(url, "p0", "dee", "rejected")
    leave(url, "p0", "eve", "applied")
    for name, hours in (("ana", 1.1), ("bo", 0.9), ("cy", 0)):
        ago(hours)
        draft = proposals.write_draft(name, POLICY, "v0")
        assert proposals.decide(draft, "applied", name)
    left = dict.fromkeys(("ana", "bo", "cy", "eve"), ("applied", True))
    assert said(url) == left | {"dee": ("rejected", True)}
    proposals.forget(draft)
    emptied = dict.fromkeys(("ana", "cy", "eve"), ("applied", False))
    assert said(url) == left | emptied | {"dee": ("rejected", False)}


@pytest.mark.parametrize("hours", [23 * 7, 25 * 7])
def test_what_was_written_for_another_version_of_the_profile_is_deleted_when_it_is_old(
    url: str, ago: Callable[[float], None], hours: int
) -> None:
    ago(hours)
    for profile, author in (("p0", "ana"), ("p1", "bo")):
        leave(url, profile, author, "proposed")
        leave(url, profile, author + "s", "draft")
    ago(0)
    Proposals(url, "p1", came_into_force).close()
    kept = {"bo": ("proposed", True), "bos": ("draft", True)}
    young = {"ana": ("proposed", True), "anas": ("draft", True)}
    assert said(url) == (kept if hours > 24 * 7 else kept | young)


def test_a_proposal_whose_process_ended_before_it_was_published_waits_again(
    url: str, ago: Callable[[float], None]
) -> None:
    ago(2)
    leave(url, "p1", "ana", "applied", Policy(POLICY.rules))
    leave(url, "p1", "bo", "applied", Policy(POLICY.rules))
    ago(0)
    opened = Proposals(url, "p1", came_into_force)
    assert said(url) == {"ana": ("proposed", True), "bo": ("draft", True)}
    [waiting] = opened.waiting()
    assert (waiting.policy, waiting.decided_by) == (Policy(POLICY.rules), "")
    opened.close()


def test_what_is_left_stays_while_nobody_can_say_what_came_into_force(
    url: str, ago: Callable[[float], None], caplog: pytest.LogCaptureFixture
) -> None:
    def away(_version: str, _since_us: int) -> bool:
        raise Retry("no broker")

    ago(2)
    leave(url, "p1", "ana", "applied")
    ago(0)
    Proposals(url, "p1", away).close()
    assert said(url) == {"ana": ("applied", True)}
    assert "stays for now: no broker" in caplog.text


def test_what_has_changed_since_it_was_read_is_not_decided(proposals: Proposals) -> None:
    draft = proposals.write_draft("ana", POLICY, "v0")
    changed = proposals.write_draft("ana", Policy(), "v0")
    assert not proposals.decide(draft, "proposed", "")
    assert proposals.draft("ana") == changed


def known(proposals: Proposals, name: str) -> dict[str, Any]:
    found = proposals.get(name)
    assert found
    return found._asdict()


def an_empty_backtest(policy: Policy) -> Backtest:
    made = past_of_nothing()
    return backtest(CompiledPolicy(policy, CARD), made, OWN)


def past_of_nothing() -> DecidedRows:
    codes, whole = np.zeros(0, np.uint8), np.zeros(0, np.int64)
    rows = Rows(
        np.zeros((0, len(CARD.values))),
        np.zeros((0, 2), np.uint64),
        np.zeros(0),
        np.zeros((0, 2)),
        codes,
        whole,
        [],
    )
    return DecidedRows(rows, whole, codes, np.zeros(0, np.int8), whole, np.zeros(0, np.str_))


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
