"""Searching: what a plain filter in Python finds, in the same order, on both databases."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, insert, select

from db.blocks import packed
from db.blocks.tables import search_blocks
from db.blocks.upkeep import merge_small, write_block
from db.cases.tables import verdicts
from db.engine import open_database
from db.retention import delete_rows
from db.search import search as searching
from db.search.filters import Filters
from db.search.search import search
from db.tables import transactions
from model.hashing import hash64
from tests.db.said import said
from tests.db.scored import LAYOUT, Writer, frames

pytestmark = pytest.mark.processes
COUNT = 300
REASONS = ("", '[{"feature":"amount","value":1}]', '[{"feature":"a%_\\\\x","value":null}]')
BUNDLES = ("0123456789abcdef", "fedcba9876543210")
FEATURES = {1: "amount", 2: "a%_\\\\x"}


@dataclass(frozen=True)
class Known:
    """A row, and the verdicts on it."""

    transaction_id: str
    account: str
    second: str
    decision: str
    score: float
    amount: int
    event_us: int
    bundle: str
    reason: int
    verdict: str


def known(number: int) -> Known:
    chance = random.Random(number)
    decision = chance.choice(("approve", "approve", "review", "block"))
    return Known(
        f"t{number:03d}",
        chance.choice(("u1", "u2", "u3")),
        chance.choice(("shop", "inn")),
        decision,
        round(chance.random(), 2),
        chance.randrange(0, 500),
        chance.randrange(1000, 1100),
        chance.choice(BUNDLES),
        0 if decision == "approve" else chance.randrange(3),
        chance.choice(("none", "none", "fraud", "legitimate")),
    )


ROWS = [known(number) for number in range(COUNT)]


def write(writer: Writer, rows: list[Known]) -> None:
    made = frames([row.transaction_id for row in rows])
    for name, values in (
        ("score", [row.score for row in rows]),
        ("amount_minor", [row.amount for row in rows]),
        ("event_us", [row.event_us for row in rows]),
        ("bundle", [row.bundle.encode() for row in rows]),
        ("decision", [("approve", "review", "block").index(row.decision) for row in rows]),
    ):
        made.rows[name] = values
    made.rows["keys"][:, 1] = hash64([row.second.encode() for row in rows])
    made.accounts = [row.account.encode() for row in rows]
    made.reasons = [REASONS[row.reason].encode() for row in rows]
    writer.write(*LAYOUT.pack(made))


def give_verdicts(connection: Connection, rows: list[Known]) -> None:
    """The one that holds is the newest of those that have a weight."""
    documents = []
    for number, row in enumerate(rows):
        if row.verdict == "none":
            given = [(True, 5, 0.0)] if number % 2 else []
        else:
            right = row.verdict == "fraud"
            given = [(not right, 5, 1.0), (right, 6, 1.0), (not right, 7, 0.0)]
        documents += [
            said(
                f"{row.transaction_id}-{at}",
                row.transaction_id,
                fraud=fraud,
                weight=weight,
                given_us=at,
                event_us=row.event_us,
                label_offset=len(documents) + at,
            )
            for fraud, at, weight in given
        ]
    connection.execute(insert(verdicts), documents)


@pytest.fixture
def connection(writer: Writer, url: str) -> Iterator[Connection]:
    """A database with the rows in blocks of some sizes."""
    start, chance = 0, random.Random(1)
    while start < COUNT:
        stop = start + chance.randrange(1, 40)
        write(writer, ROWS[start:stop])
        start = stop
    database = open_database(url)
    with database.engine.begin() as connection:
        give_verdicts(connection, ROWS)
    with database.engine.connect() as connection:
        yield connection
    database.close()


def expected(filters: Filters) -> set[str]:
    return {row.transaction_id for row in ROWS if meant(filters, row)}


def meant(filters: Filters, row: Known) -> bool:
    tests: dict[str, Any] = {
        "transaction_id": lambda wanted: row.transaction_id == wanted,
        "account": lambda wanted: row.account == wanted,
        "second": lambda wanted: row.second == wanted,
        "decision": lambda wanted: row.decision == wanted,
        "min_score": lambda wanted: row.score >= wanted,
        "max_score": lambda wanted: row.score <= wanted,
        "min_amount": lambda wanted: row.amount >= wanted,
        "max_amount": lambda wanted: row.amount <= wanted,
        "since_us": lambda wanted: row.event_us >= wanted,
        "until_us": lambda wanted: row.event_us < wanted,
        "bundle": lambda wanted: row.bundle == wanted,
        "verdict": lambda wanted: row.verdict == wanted,
        "reason": lambda wanted: FEATURES.get(row.reason) == wanted,
    }
    given = ((name, getattr(filters, name)) for name in tests)
    return all(wanted is None or tests[name](wanted) for name, wanted in given)


def found(connection: Connection, filters: Filters, limit: int) -> list[str]:
    """All pages, newest first; each row once."""
    ids: list[str] = []
    cursor = None
    while True:
        page = search(connection, filters, cursor, limit)
        assert len(page.seqs) <= limit
        assert page.seqs == sorted(page.seqs, reverse=True)
        query = select(transactions.c.seq, transactions.c.transaction_id)
        names = dict(connection.execute(query.where(transactions.c.seq.in_(page.seqs))).all())  # type: ignore[arg-type] # rows are pairs
        ids += [names[seq] for seq in page.seqs]
        if page.following is None:
            assert len(ids) == len(set(ids))
            return ids
        assert cursor is None or page.following < cursor
        cursor = page.following


some = {
    "transaction_id": st.sampled_from(["t007", "t100", "nobody"]),
    "account": st.sampled_from(["u1", "u2", "nobody"]),
    "second": st.sampled_from(["shop", "inn", "nowhere"]),
    "decision": st.sampled_from(["approve", "review", "block"]),
    "min_score": st.sampled_from([row.score for row in ROWS[:30]]) | st.floats(allow_nan=False),
    "max_score": st.sampled_from([row.score for row in ROWS[:30]]) | st.floats(allow_nan=False),
    "min_amount": st.integers(0, 500),
    "max_amount": st.integers(0, 500),
    "since_us": st.integers(990, 1110),
    "until_us": st.integers(990, 1110),
    "bundle": st.sampled_from([*BUNDLES, "another"]),
    "verdict": st.sampled_from(["fraud", "legitimate", "none"]),
    "reason": st.sampled_from([*FEATURES.values(), "a", "%"]),
}
asked = st.fixed_dictionaries({}, optional=some)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    wanted=asked,
    limit=st.integers(1, 60),
    few=st.booleans(),
    bound=st.sampled_from([20, 10**6]),
    fetched=st.sampled_from([30, 10**6]),
)
def test_it_finds_what_a_plain_filter_finds(
    connection: Connection, wanted: dict[str, Any], limit: int, few: bool, bound: int, fetched: int
) -> None:
    filters = Filters(second_entity="merchant", **wanted)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(searching, "_FEW", 10**6 if few else 0)
        patch.setattr(searching, "LOOKED_AT", bound)
        patch.setattr(searching, "FETCHED", fetched)
        patch.setattr(searching, "_AT_ONCE", 25)
        ids = found(connection, filters, limit)
    assert set(ids) == expected(filters)


def test_every_filter_is_tested() -> None:
    assert some.keys() | {"second_entity"} == {field.name for field in fields(Filters)}


def test_merged_and_thinned_blocks_are_searched_alike(connection: Connection, url: str) -> None:
    database = open_database(url)
    gone = {row.transaction_id for row in ROWS[::7]}
    connection.rollback()
    with database.engine.begin() as writing:
        merge_small(writing)
        delete_rows(writing, gone)
    database.close()
    filters = Filters(min_score=0.25, second="shop", second_entity="merchant")
    assert set(found(connection, filters, 9)) == expected(filters) - gone
    assert found(connection, Filters(second="shop", second_entity="another"), 9) == []


def test_it_says_how_far_it_looked(connection: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(searching, "LOOKED_AT", 50)
    page = search(connection, Filters(bundle="another"), None, 10)
    assert page.seqs == []
    assert page.looked_to == page.following
    assert page.looked_to is not None
    again = search(connection, Filters(), page.following, 10)
    assert max(again.seqs) < page.looked_to


def test_blocks_that_overlap_are_read_together(writer: Writer, url: str) -> None:
    """As when one of two writers commits late, and the other's blocks were merged meanwhile."""
    write(writer, ROWS[:10])
    write(writer, ROWS[10:20])
    write(writer, ROWS[20:30])

    database = open_database(url)
    with database.engine.begin() as connection:
        table = search_blocks.c
        query = select(table.first_seq, table.content).order_by(table.first_seq)
        first, _, last = connection.execute(query).all()
        connection.execute(
            search_blocks.delete().where(table.first_seq.in_([first.first_seq, last.first_seq]))
        )
        outer = np.concatenate([packed.unpack(first.content), packed.unpack(last.content)])
        write_block(connection, outer)
        ids = found(connection, Filters(), 4)
    database.close()
    assert ids == sorted(ids, reverse=True) == [row.transaction_id for row in ROWS[29::-1]]
