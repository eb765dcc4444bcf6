"""What the pages of decisions read: a few of many rows, the newest scores, and their verdicts."""

from __future__ import annotations

import numpy as np
import pytest
from sqlalchemy import insert, select, update

from db.cases.tables import cases, verdicts
from db.engine import writing
from db.recent_scores import newest_us, read_recent, read_verdicts, rows_at
from db.spread import first_since, spread_rows
from db.store import Store
from db.tables import transactions
from tests.databases import statements
from tests.db.said import said
from tests.db.scored import Writer, values

PROFILE = "abcd1234"
COLUMNS = (transactions.c.transaction_id, transactions.c.ingested_us)


def written(writer: Writer, count: int) -> None:
    """Batches of 10 rows; every fifth row is flagged."""
    for start in range(0, count, 10):
        batch: list[bytes | None] = []
        for number in range(start, start + 10):
            batch += values(
                [f"t{number}"],
                decision=int(number % 5 == 0),
                score=number / 100,
                event_us=1_000_000 * number,
                account=f"u{number % 3}",
            )
        writer.write(*batch)


def ingested(url: str, count: int) -> None:
    """Give each row a time of ingest of its own: its number, in seconds."""
    with writing(url) as connection:
        for number in range(count):
            chosen = transactions.c.transaction_id == f"t{number}"
            connection.execute(
                update(transactions).where(chosen).values(ingested_us=1_000_000 * number)
            )


def test_rows_are_spread_over_the_time(url: str, writer: Writer) -> None:
    written(writer, 60)
    ingested(url, 60)
    windows = spread_rows(url, PROFILE, COLUMNS, 20_000_000, 4, 3)
    ids = [row.transaction_id for window in windows for row in window]
    numbers = [int(name[1:]) for name in ids]
    assert numbers == sorted(set(numbers))
    assert numbers[0] == 20
    assert 9 <= len(numbers) <= 12
    assert numbers[-1] >= 45
    everything = spread_rows(url, PROFILE, COLUMNS, 0, 3, 1000)
    assert sum(map(len, everything)) == 60, "each once"
    with statements() as executed:
        assert spread_rows(url, "another", COLUMNS, 0, 28, 10) == []
    assert sum("profile =" in statement for statement, _ in executed) == 1, "not 28 scans"
    assert spread_rows(url, PROFILE, COLUMNS, 10**15, 3, 10) == []


def test_the_first_row_since(url: str, writer: Writer) -> None:
    written(writer, 30)
    ingested(url, 30)
    query = select(transactions.c.transaction_id, transactions.c.seq)
    with writing(url) as connection:
        seqs = {row.transaction_id: row.seq for row in connection.execute(query)}
        newest = max(seqs.values())
        for number in (0, 1, 13, 29):
            assert first_since(connection, 1_000_000 * number, newest) <= seqs[f"t{number}"]
            if number:
                before = seqs[f"t{number - 1}"]
                assert first_since(connection, 1_000_000 * number, newest) > before
        assert first_since(connection, 10**15, newest) > newest


def test_nothing_in_an_empty_database(url: str) -> None:
    assert spread_rows(url, PROFILE, COLUMNS, 0, 4, 3) == []
    assert newest_us(url) == 0
    assert len(read_recent(url, 0).rows) == 0
    assert read_verdicts(url, PROFILE, 0, 10**15).ids == []


def test_the_newest_scores(url: str, writer: Writer) -> None:
    written(writer, 30)
    assert newest_us(url) == 29_000_000
    recent = read_recent(url, 10_000_000)
    assert recent.whole
    rows = np.sort(recent.rows, order="event_us")
    assert rows["event_us"].tolist() == [1_000_000 * number for number in range(10, 30)]
    assert rows["score"].tolist() == pytest.approx([number / 100 for number in range(10, 30)])
    assert rows["decision"].tolist() == [int(number % 5 == 0) for number in range(10, 30)]
    found = rows_at(url, rows["seq"][:3].tolist())
    assert [row.transaction_id for row in found] == ["t12", "t11", "t10"]
    bundle = found[0]
    assert bundle.decision == "approve"


def test_rows_of_other_bundles_are_left_out(url: str, writer: Writer, store: Store) -> None:
    written(writer, 10)
    row = store.get("t1")
    assert row is not None
    assert len(read_recent(url, 0, [row["bundle"]]).rows) == 0
    assert len(read_recent(url, 0, ["another"]).rows) == 10


def test_the_verdict_that_holds(url: str, store: Store) -> None:
    given = [
        said("a", "t5", given_us=10, event_us=5, decision="review", score=0.5),
        said("b", "t5", fraud=False, given_us=20, event_us=5, decision="review", score=0.5),
        said("c", "t6", given_us=20, event_us=6, amount_minor=77),
        said("d", "t6", fraud=False, given_us=10, event_us=6),
        said("e", "t7", weight=0.0, given_us=30, event_us=7),
        said("f", "t29", given_us=30, event_us=29),
        said("g", "t8", given_us=30, event_us=8, profile="another"),
    ]
    facts = {"decision": "approve", "event_us": 6, "ingested_us": 6, "amount_minor": 1}
    facts |= {"score": 0.06, "risk": 0.06, "draw": 0.0001, "open": True}
    with writing(url) as connection:
        for offset, row in enumerate(given):
            connection.execute(insert(verdicts).values(row | {"label_offset": offset}))
        connection.execute(insert(cases).values(facts | {"transaction_id": "t6"}))
    assert store.verdicts_on(["t5", "t6", "t7"]) == {"t5": False, "t6": True}
    found = read_verdicts(url, PROFILE, 0, 20)
    assert found.ids == ["t5", "t6"]
    assert found.event_us.tolist() == [5, 6]
    assert found.fraud.tolist() == [False, True]
    assert found.sampled.tolist() == [False, True]
    assert found.decisions.tolist() == [1, 0]
    assert found.scores.tolist() == [0.5, 0.25]
    assert found.amounts.tolist() == [1_250, 77]
    assert [*read_verdicts(url, "another", 0, 20).ids] == ["t8"]


def test_payloads_and_brief_rows(writer: Writer, store: Store) -> None:
    written(writer, 30)
    own = store.payloads(5, "u1")
    assert len(own) == 5
    assert list(own) == sorted(own, reverse=True)
    assert {name for name, _ in own.values()} == {"t28", "t25", "t22", "t19", "t16"}
    assert len(store.payloads(1000)) == 30
    assert store.payloads(5, "nobody") == {}
    brief = store.brief(["t1", "t5", "gone", "t1"])
    assert set(brief) == {"t1", "t5"}
    assert (brief["t5"]["decision"], brief["t5"]["score"]) == ("review", 0.05)
    assert brief["t5"]["reasons"] == []
