"""Writing, merging and filling the search blocks.

A batch's block is written with its rows. Blocks of small batches are merged now and then; rows that
were there before the table was are packed behind, newest first. Whoever changes blocks that others
may change holds a lock of PostgreSQL's until his transaction ends; SQLite has one writer anyway.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Collection
from typing import Any

import numpy as np
from sqlalchemy import Connection, Row, delete, func, select, text

from db.blocks import packed
from db.blocks.packed import FULL, Range, Rows
from db.blocks.reading import contents_of
from db.blocks.tables import search_blocks
from db.engine import Database, retrying
from db.tables import transactions
from tidegate.messages.frames import DECISIONS

_LOCK = 0x626C_6B73  # "blks"
_NEWEST = 1024
"""Blocks among which small ones are looked for."""
_EVERY = 256
"""Blocks written between two looks."""
_FILLED = 2 * FULL
"""Rows packed at a turn, of those that were there before."""
_LOOK_SECONDS = 60.0
"""Until it is looked again whether there are any: somebody may delete blocks to have them anew."""
_ROW = ("seq", "event_us", "amount_minor", "score", "decision", "bundle", "keys")

_COLUMNS = search_blocks.c.keys()
_WRITE = text(
    f"INSERT INTO search_blocks ({', '.join(_COLUMNS)}) "  # noqa: S608 - the table's own columns
    f"VALUES (:{', :'.join(_COLUMNS)}) ON CONFLICT (first_seq) DO UPDATE SET "
    + ", ".join(f"{name} = excluded.{name}" for name in _COLUMNS if name != "first_seq")
)
"""As a text: SQLAlchemy would need longer to build it than a database to do it."""


def write_block(connection: Connection, rows: Rows) -> None:
    """Add a block of these rows, in the open transaction.

    It replaces one that begins with the same number: SQLite gives numbers again when all rows were
    deleted, by whomever.
    """
    if len(rows):
        connection.execute(_WRITE, packed.document(rows))


def remove_rows(connection: Connection, seqs: Collection[int]) -> None:
    """Take the rows of these numbers out of their blocks, in the open transaction."""
    if not seqs:
        return
    _lock(connection)
    gone = np.fromiter(seqs, np.int64, len(seqs))
    table = search_blocks.c
    touched = select(table.first_seq, table.content).where(
        table.first_seq <= int(gone.max()), table.last_seq >= int(gone.min())
    )
    for block in connection.execute(touched).all():
        rows = packed.unpack(block.content)
        kept = rows[~np.isin(rows["seq"], gone)]
        if len(kept) < len(rows):
            connection.execute(delete(search_blocks).where(table.first_seq == block.first_seq))
            write_block(connection, kept)


class Upkeep:
    """What a writer does at its turns."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._written = _EVERY  # look at once: the process before may have left small ones
        self._clock, self._fill_at = clock, -math.inf

    def wrote(self) -> None:
        """A block was added."""
        self._written += 1

    def turn(self, database: Database) -> None:
        """Merge small blocks if there may be many; pack some older rows. Raises Retry."""
        if self._written >= _EVERY:
            self._written = 0
            _in_transaction(database, merge_small)
        if self._clock() >= self._fill_at and not _in_transaction(database, fill):
            self._fill_at = self._clock() + _LOOK_SECONDS


def _in_transaction(database: Database, work: Callable[[Connection], int]) -> int:
    with retrying(database), database.engine.begin() as connection:
        _lock(connection)
        return work(connection)


def merge_small(connection: Connection) -> int:
    """Merge the newest blocks of few rows with their neighbours; how many were merged."""
    table = search_blocks.c
    newest = select(table.first_seq, table.last_seq, table.rows).order_by(table.first_seq.desc())
    ranges = [Range(*row) for row in connection.execute(newest.limit(_NEWEST))]
    merged = 0
    for run in packed.runs(ranges):
        firsts = [each.first_seq for each in run]
        those = search_blocks.c.first_seq.in_(firsts)
        contents = contents_of(connection, firsts).values()
        connection.execute(delete(search_blocks).where(those))
        rows = np.concatenate([packed.unpack(content) for content in contents])
        write_block(connection, rows[np.argsort(rows["seq"])])
        merged += len(run)
    return merged


def fill(connection: Connection) -> int:
    """Pack some rows that are older than every block; how many."""
    first = connection.scalar(select(func.min(search_blocks.c.first_seq)))
    query = select(*(transactions.c[name] for name in _ROW)).order_by(transactions.c.seq.desc())
    if first is not None:
        query = query.where(transactions.c.seq < first)
    found = connection.execute(query.limit(_FILLED)).all()
    for some in (found[:FULL], found[FULL:]):
        write_block(connection, _of_rows(some[::-1]))
    return len(found)


def _of_rows(found: Any) -> Rows:  # noqa: ANN401 - SQLAlchemy's rows
    rows = np.zeros(len(found), packed.ROW)
    for place, row in enumerate(found):
        rows[place] = _of_row(row)
    return rows


def _of_row(row: Row[Any]) -> tuple[int | float, ...]:
    hashes = np.frombuffer(row.keys, "<u8")
    second = int(packed.low_half(hashes[1:2])[0]) if len(hashes) > 1 else 0
    decision = DECISIONS.index(row.decision)
    return (
        row.seq,
        row.event_us,
        row.amount_minor,
        row.score,
        second,
        packed.code(row.bundle),
        decision,
    )


def _lock(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
