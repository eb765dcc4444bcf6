"""Rows and offsets: both or neither, once, by one writer, from one log."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest

from db.engine import open_database
from db.migrate import migrate
from db.store import Store
from db.tables import offsets, transactions
from tests.db.scored import Writer, values
from tidegate.broker.memory.broker import MemoryBroker
from tidegate.broker.records import Position, TopicPartition
from tidegate.errors import Fenced, Retry, Stop
from tidegate.metrics import LATE_DUPLICATES
from tidegate.pipeline import DLQ, SCORED


def test_rows_and_offsets_of_all_partitions_are_written_together(
    writer: Writer, store: Store
) -> None:
    writer.write_all({0: values(["b", "a"]), 1: values(["c"])})
    writer.assign()
    assert writer.next == {
        TopicPartition(SCORED, 0): Position(2),
        TopicPartition(SCORED, 1): Position(1),
    }
    assert sorted(store.lookup(["a", "b", "c", "d"])) == ["a", "b", "c"]


def test_a_partition_never_written_has_no_position(writer: Writer) -> None:
    writer.write(*values(["a"]), partition=1)
    writer.assign()
    assert writer.next == {TopicPartition(SCORED, 1): Position(1)}


def test_a_restart_goes_on_from_the_database(writer: Writer, url: str, store: Store) -> None:
    writer.write(*values(["a", "b"]))
    writer.sink.close()
    again = Writer(url, writer.broker)
    again.write(*values(["c"]))
    again.sink.close()
    assert again.at(0) == 3
    assert store.count() == 3


def test_nothing_is_left_of_a_write_that_fails(writer: Writer, store: Store) -> None:
    def away(_name: str, _done: bool) -> None:
        raise Retry("the broker is away")

    writer.write(*values(["a"]))
    writer.broker.hook = away
    with pytest.raises(Retry):
        writer.write(*values(["b"]), b"damaged")
    writer.broker.hook = lambda _name, _done: None
    assert store.count() == 1
    writer.write(*values(["b"]), b"damaged")
    assert store.count() == 2
    assert writer.reasons()[-1] == "not_a_frame"


def test_a_zombie_is_fenced_and_writes_nothing(store_of_two: tuple[Writer, Writer, Store]) -> None:
    old, new, store = store_of_two
    new.write(*values(["a"]))
    with pytest.raises(Fenced):
        old.write(*values(["b"]))
    old.assign()
    old.write(*values(["c"]))
    with pytest.raises(Fenced):
        new.write(*values(["d"]))
    assert sorted(store.lookup(["a", "b", "c", "d"])) == ["a", "c"]


def test_equal_duplicates_leave_the_first_row_alone(writer: Writer, store: Store) -> None:
    writer.write(*values(["a"], score=0.125))
    before = LATE_DUPLICATES._value.get()
    writer.write(*values(["a", "b", "b"], score=0.5))
    assert LATE_DUPLICATES._value.get() - before == 2
    row = store.get("a")
    assert row is not None
    assert row["score"] == 0.125
    assert store.count() == 2
    assert writer.dead() == []


def test_conflicting_duplicates_are_dead_letters_with_a_stable_identity(
    writer: Writer, store: Store
) -> None:
    writer.write(*values(["a"], body=1))
    conflicting = values(["a"], body=2)
    before = LATE_DUPLICATES._value.get()
    writer.write(*values(["c"]), *conflicting, *values(["a"], body=1))
    assert LATE_DUPLICATES._value.get() - before == 1
    assert writer.reasons() == ["conflicting_duplicate"]
    letter = writer.dead()[0]
    assert letter.value == conflicting[0]
    assert dict(letter.headers or [])["tidegate-key"] == f"persist/{SCORED}/0/0/2".encode()
    assert store.count() == 2


def test_within_a_batch_the_first_body_stays(writer: Writer, store: Store) -> None:
    first, second = values(["a"], body=1), values(["a"], body=2)
    writer.write(*first, *second, *first)
    assert writer.reasons() == ["conflicting_duplicate"]
    assert writer.dead()[0].value == second[0]
    assert store.count() == 1


def test_the_stored_body_decides_not_the_batch(writer: Writer) -> None:
    writer.write(*values(["a"], body=2))
    writer.write(*values(["a"], body=1), *values(["a"], body=2))
    assert [letter.value for letter in writer.dead()] == values(["a"], body=1)


def test_only_damaged_frames_move_the_offset_too(writer: Writer, store: Store) -> None:
    writer.write(b"nonsense", None, values(["a"])[0][:-1])  # type: ignore[index]
    writer.assign()
    assert writer.at(0) == 3
    assert writer.reasons() == ["not_a_frame", "not_a_frame", "truncated_frame"]
    assert store.count() == 0


@pytest.mark.parametrize("change", ["cluster_id", "topic_id", "partitions"])
def test_another_log_is_refused(writer: Writer, url: str, change: str) -> None:
    writer.write(*values(["a"]))
    database = open_database(url)
    with database.engine.begin() as connection:
        connection.execute(offsets.update().values({change: "99" if change.endswith("id") else 99}))
    database.close()
    with pytest.raises(Stop, match="count another"):
        writer.assign()


def test_more_partitions_are_refused(writer: Writer, url: str) -> None:
    writer.write(*values(["a"]))
    writer.sink.close()
    broker = MemoryBroker({SCORED: 3, DLQ: 1})
    with pytest.raises(Stop, match="partitions 2 there, 3 here"):
        Writer(url, broker)


def test_a_second_writer_of_sqlite_is_refused_until_the_first_is_gone(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'tidegate.db'}"
    migrate(url)
    first = Writer(url)
    with pytest.raises(Stop, match="PostgreSQL"):
        Writer(url)
    first.sink.close()
    Writer(url).sink.close()


def test_a_locked_sqlite_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("db.engine._BUSY_MS", 50)
    url = f"sqlite:///{tmp_path / 'tidegate.db'}"
    migrate(url)
    writer, other = Writer(url), open_database(url)
    with other.engine.begin(), pytest.raises(Retry, match="locked"):
        writer.write(*values(["a"]))
    other.close()
    writer.write(*values(["a"]))
    writer.sink.close()


def test_rows_are_numbered_in_the_order_of_their_batches(writer: Writer, store: Store) -> None:
    for batch in (["b", "a"], ["d", "c"]):
        writer.write(*values(batch))
    page, _ = store.list({}, None, 10)
    assert [row["transaction_id"] for row in page] == ["d", "c", "b", "a"]


def test_a_missing_table_is_a_defect_not_a_wait(writer: Writer, url: str) -> None:
    writer.write(*values(["z"]))
    database = open_database(url)
    with database.engine.begin() as connection:
        transactions.drop(connection)
    database.close()
    with pytest.raises(Exception, match="transactions") as caught:
        writer.write(*values(["a"]))
    assert not isinstance(caught.value, Retry)


def test_a_lost_connection_is_a_retry_and_then_goes_on(postgres_url: str) -> None:
    writer = Writer(postgres_url)
    writer.write(*values(["a"]))
    with psycopg.connect(postgres_url.replace("+psycopg", ""), autocommit=True) as admin:
        admin.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = "
            "current_database() "
            "AND pid <> pg_backend_pid()"
        )
    with pytest.raises(Retry, match="is away"):
        writer.write(*values(["b"]))
    writer.assign()
    writer.write(*values(["b"]))
    assert writer.at(0) == 2
    writer.sink.close()
