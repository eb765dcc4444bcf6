"""Rows that go after so many days, or with their account."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import text

from db.audit import export
from db.engine import open_database
from db.erasing import erase
from db.migrate import migrate
from db.retention import Retention, delete_older
from db.store import Store
from tests.db.scored import NAMES, Writer, values
from tidegate.broker.records import TopicPartition

pytestmark = pytest.mark.processes
DAY_US = 86_400_000_000
CAME_US = 2_000
"""When the rows of `tests.db.scored` came in."""


def test_rows_go_when_they_are_too_old(writer: Writer, store: Store, url: str) -> None:
    writer.write(*values([f"t{number}" for number in range(2_500)]))
    now = 0
    retention = Retention(30, lambda: now)
    database = open_database(url)
    now = CAME_US + 30 * DAY_US
    assert retention.turn(database) == 0, "not older than that yet"
    now += 1
    assert retention.turn(database) == 0, "it looks once an hour"
    now += DAY_US // 24
    assert [retention.turn(database) for _ in range(3)] == [2_000, 500, 0]
    assert store.count() == 0
    writer.write(*values(["new"]))
    assert delete_older(database, CAME_US) == 0
    database.close()
    assert store.count() == 1
    assert writer.at(0) == 2_501, "positions stay"


def test_a_younger_row_among_the_first_does_not_end_it(
    writer: Writer, store: Store, url: str
) -> None:
    writer.write(*values([f"t{number}" for number in range(2_500)]))
    database = open_database(url)
    with database.engine.begin() as connection:
        young = text("UPDATE transactions SET ingested_us = :at WHERE transaction_id = 't0'")
        connection.execute(young, {"at": 90 * DAY_US})
    retention = Retention(30, lambda: CAME_US + 60 * DAY_US)
    assert [retention.turn(database) for _ in range(3)] == [1_999, 500, 0]
    database.close()
    assert store.count() == 1


def test_the_sink_does_it_at_its_turns(url: str, store: Store) -> None:
    writer = Writer(url)
    writer.write(*values(["a", "b"]))
    writer.sink._retention = Retention(1, lambda: CAME_US + DAY_US + 1)
    writer.sink.settle()
    writer.sink.close()
    assert store.count() == 0


def test_an_account_is_erased_and_no_other(writer: Writer, store: Store, url: str) -> None:
    writer.write(*values([f"a{number}" for number in range(1_200)], account="4111111111111111"))
    writer.write(*values(["b"], account="u2"))
    assert erase(url, "4111111111111111", "ann")[:2] == (1_200, False)
    assert store.count() == 1
    assert store.get("b") is not None
    assert store.list({"account": "4111111111111111"}, None, 10)[0] == []
    [entry] = export(url)
    assert (entry.who, entry.what, entry.detail) == ("ann", "account erased", '{"rows":1200}')
    assert erase(url, "4111111111111111", "ann")[:2] == (0, False)
    assert writer.sink.positions([TopicPartition("transactions.scored", 0)])


def test_sqlite_keeps_no_copy_of_what_is_erased(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'tidegate.db'}"
    migrate(url)
    writer = Writer(url)
    writer.write(*values([f"a{number}" for number in range(500)], account="4111111111111111"))
    writer.sink.close()
    store = Store(url, NAMES)
    assert store.get("a1") is not None
    store.close()
    assert b"4111111111111111" in b"".join(file.read_bytes() for file in tmp_path.iterdir())
    assert erase(url, "4111111111111111", "ann") == (500, False, True)
    assert b"4111111111111111" not in b"".join(file.read_bytes() for file in tmp_path.iterdir())
