"""Search blocks: written with their rows, merged, filled, and rid of what goes."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import delete, select

from db.blocks import packed
from db.blocks.packed import FULL, SMALL, Range
from db.blocks.tables import search_blocks
from db.blocks.upkeep import Upkeep, fill, merge_small
from db.engine import Database, open_database
from db.erasing import erase
from db.retention import delete_older
from db.tables import transactions
from tests.db.scored import Writer, values

pytestmark = pytest.mark.processes


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    made = open_database(url)
    yield made
    made.close()


def contents(database: Database) -> list[packed.Rows]:
    """The rows of each block, newest block first."""
    query = select(search_blocks).order_by(search_blocks.c.first_seq.desc())
    with database.engine.connect() as connection:
        found = connection.execute(query).all()
    blocks = [packed.unpack(row.content) for row in found]
    for row, rows in zip(found, blocks, strict=True):
        assert packed.document(rows) == dict(row._mapping)
    return blocks


def assert_in_step(database: Database) -> None:
    """Each row is in one block, as it would be packed now, and nothing else is."""
    blocks = contents(database)
    packed_rows = np.concatenate(blocks) if blocks else np.zeros(0, packed.ROW)
    with database.engine.begin() as connection:
        kept = connection.execute(select(search_blocks)).mappings().all()
        connection.execute(delete(search_blocks))
        while fill(connection):
            pass
        again = connection.execute(select(search_blocks.c.content)).scalars().all()
        connection.execute(delete(search_blocks))
        if kept:
            connection.execute(search_blocks.insert(), [dict(row) for row in kept])
        seqs = connection.scalars(select(transactions.c.seq)).all()
    wanted = np.concatenate([np.zeros(0, packed.ROW), *map(packed.unpack, again)])
    assert np.sort(packed_rows, order="seq").tobytes() == np.sort(wanted, order="seq").tobytes()
    assert sorted(packed_rows["seq"].tolist()) == sorted(seqs)


def test_a_batch_is_packed_with_its_rows(writer: Writer, database: Database) -> None:
    writer.write(*values(["b", "a", "c"], decision=2, score=0.1, event_us=77))
    (rows,) = contents(database)
    assert rows["decision"].tolist() == [2, 2, 2]
    assert rows["second"].tolist() == [2**32 - 1] * 3
    assert rows["score"].tolist() == [np.float32(0.1)] * 3
    assert_in_step(database)


def test_what_is_there_already_is_not_packed_again(writer: Writer, database: Database) -> None:
    writer.write(*values(["b", "d"]))
    writer.write(*values(["a", "b", "c", "d", "e"]))
    writer.write(*values(["a", "b"]))
    assert [len(rows) for rows in contents(database)] == [3, 2]
    assert_in_step(database)


def test_small_blocks_are_merged_with_their_neighbours(writer: Writer, database: Database) -> None:
    for number in range(5):
        writer.write(*values([f"a{number}-{one}" for one in range(3)], score=number / 10))
    upkeep = Upkeep()
    upkeep.turn(database)
    (rows,) = contents(database)
    assert len(rows) == 15
    assert (np.diff(rows["seq"]) > 0).all()
    writer.write(*values(["new"]))
    upkeep.turn(database)
    assert len(contents(database)) == 2, "it looks again after some more"
    for _ in range(256):
        upkeep.wrote()
    upkeep.turn(database)
    assert len(contents(database)) == 1
    assert_in_step(database)


def test_older_rows_are_packed_at_turns(writer: Writer, database: Database) -> None:
    for start in range(0, 2 * FULL + 10, 3000):
        stop = min(start + 3000, 2 * FULL + 10)
        writer.write(*values([f"t{number:05d}" for number in range(start, stop)]))
    with database.engine.begin() as connection:
        connection.execute(delete(search_blocks))
    writer.write(*values(["new"]))
    upkeep = Upkeep()
    upkeep.turn(database)
    upkeep.turn(database)
    assert sorted(len(rows) for rows in contents(database)) == [1, 10, FULL, FULL]
    assert_in_step(database)


def test_blocks_that_somebody_deletes_are_made_again(writer: Writer, database: Database) -> None:
    now = [0.0]
    upkeep = Upkeep(lambda: now[0])
    writer.write(*values(["a", "b", "c"]))
    upkeep.turn(database)
    with database.engine.begin() as connection:
        connection.execute(delete(search_blocks))
    upkeep.turn(database)
    assert contents(database) == [], "it does not look at every turn"
    now[0] += 60
    upkeep.turn(database)
    assert [len(rows) for rows in contents(database)] == [3]
    assert_in_step(database)


def test_rows_leave_their_blocks_with_retention_and_erasing(
    writer: Writer, database: Database, url: str
) -> None:
    writer.write(*values([f"a{number}" for number in range(1500)], account="u1"))
    writer.write(*values([f"b{number}" for number in range(1500)], account="u2"))
    writer.write(*values(["c1", "c2"], account="u1"))
    assert delete_older(database, 2_001) == 2_000
    assert [len(rows) for rows in contents(database)] == [2, 1000]
    assert_in_step(database)
    assert erase(url, "u1", "ann").rows == 2
    assert [len(rows) for rows in contents(database)] == [1000]
    assert_in_step(database)
    erase(url, "u2", "ann")
    assert contents(database) == []


@given(st.lists(st.integers(1, SMALL + 5) | st.integers(1, FULL + 5)))
def test_runs_join_neighbours_only(sizes: list[int]) -> None:
    ranges = [Range(place, place, size) for place, size in enumerate(sizes)]
    joined = list(packed.runs(ranges))
    for run in joined:
        places = [each.first_seq for each in run]
        assert places == list(range(places[0], places[0] + len(run)))
        assert len(run) > 1
        assert max(each.rows for each in run) < FULL
        assert 4 * sum(each.rows < SMALL for each in run) >= len(run)
        assert sum(each.rows for each in run[:-1]) < FULL
    alone = {each.first_seq for each in ranges} - {each.first_seq for run in joined for each in run}
    left = small(ranges, alone)
    assert not any(left.issuperset(range(place, place + 5)) for place in left)


def small(ranges: list[Range], places: set[int]) -> set[int]:
    return {place for place in places if ranges[place].rows < SMALL}


def test_small_blocks_between_larger_ones_are_merged() -> None:
    """Two writers, or partitions of two kinds, take turns."""
    ranges = [Range(place, place, 600 if place % 2 else 3) for place in range(256)]
    joined = list(packed.runs(ranges))
    assert sum(map(len, joined)) > 240
    assert len(joined) < 25


def test_merging_finds_nothing_to_do(writer: Writer, database: Database) -> None:
    writer.write(*values(["a"]))
    with database.engine.begin() as connection:
        assert merge_small(connection) == 0
