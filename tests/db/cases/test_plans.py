"""What people wait for is read by its index, on both databases."""

from __future__ import annotations

from typing import Any

from sqlalchemy import text

from db.cases.filters import Filters
from db.cases.reading import CaseReader
from db.engine import open_database
from tests.databases import statements
from tests.db.cases.desks import Bench


def plan(url: str, executed: tuple[str, Any]) -> str:
    database = open_database(url)
    with database.engine.connect() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(text("SET LOCAL enable_seqscan = off"))  # for so few rows
            connection.execute(text("SET LOCAL enable_sort = off"))
            explain = "EXPLAIN "
        else:
            explain = "EXPLAIN QUERY PLAN "
        found = connection.exec_driver_sql(explain + executed[0], executed[1])
        told = "\n".join(str(row) for row in found)
    database.close()
    return told


def test_the_queue_and_what_is_due_are_read_by_their_indexes(bench: Bench) -> None:
    reader = CaseReader(bench.url)
    with statements() as executed:
        reader.page(Filters(), "", bench.now, None, 10)
        bench.later(9_000_000)
    reader.close()
    [queue] = [each for each in executed if "ORDER BY cases.risk" in each[0]]
    [due] = [each for each in executed if "ORDER BY reviews.given_us" in each[0]]
    assert "ix_cases_risk" in plan(bench.url, queue)
    assert "ix_reviews_due_us" in plan(bench.url, due)
