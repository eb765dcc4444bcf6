"""Cases are opened by rows and closed by verdicts, each in the transaction that writes these.

A case is opened where its row is written, by what the row says: so there is one for each row that
needs one, whatever comes again. A verdict becomes a label only when its row can be read, so its
case is there before it. All the same either side looks for what the other has written, and the lock
lets neither overlook the other: a database may be filled anew from the topics.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import psycopg
from numpy.typing import NDArray
from sqlalchemy import (
    ColumnElement,
    Connection,
    Double,
    Null,
    case,
    cast,
    delete,
    func,
    null,
    select,
    text,
    true,
)
from sqlalchemy.dialects import postgresql, sqlite

from db.cases.locking import SHARE
from db.cases.tables import case_notes, case_tags, cases, reviews, verdicts
from db.engine import parts
from db.tables import transactions
from model.sampling import draws
from tidegate.messages.frames import DECISIONS, Frames

_APPROVED = DECISIONS.index("approve")
_OF_ROW = ("transaction_id", "decision", "event_us", "ingested_us", "amount_minor", "score")
_COLUMNS = (*_OF_ROW, "risk", "draw", "open")
_INSERT = f"INSERT INTO cases ({', '.join(_COLUMNS)}) "
_SQLITE = (
    f"{_INSERT}VALUES ({', '.join('?' * (len(_COLUMNS) - 1))}, true) "
    "ON CONFLICT (transaction_id) DO NOTHING"
)
_POSTGRES = f"""
{_INSERT} SELECT new.*, NOT EXISTS (
  SELECT 1 FROM verdicts WHERE verdicts.transaction_id = new.transaction_id AND weight > 0
) FROM unnest(
  %s::text[], %s::text[], %s::bigint[], %s::bigint[], %s::bigint[], %s::float8[], %s::float8[],
  %s::float8[]
) AS new ({", ".join(_COLUMNS[:-1])})
ON CONFLICT (transaction_id) DO NOTHING RETURNING transaction_id, open
"""  # noqa: S608 - column names of this file
_CLOSE = text(
    "UPDATE cases SET fraud = :fraud, decided_us = :given_us, decided_by = :source, "
    "open = (open AND reopened_us > :given_us) WHERE transaction_id = :transaction_id"
)


def open_cases(
    connection: Connection, frames: Frames, inserted: NDArray[np.intp], share: float
) -> None:
    """Open those that the new rows need, in the transaction that has written them: for what is
    flagged, and for this share of what is approved. `inserted`: whose frames became rows.
    """
    drawn = draws(frames.ids)
    flagged = frames.rows["decision"] != _APPROVED
    wanted = inserted[(flagged | (drawn <= share))[inserted]]
    if not len(wanted):
        return
    columns = list(_columns(frames, wanted, drawn))
    insert = _into_postgres if connection.dialect.name == "postgresql" else _into_sqlite
    if decided := insert(connection, columns):
        apply_verdicts(connection, decided)


def _columns(
    frames: Frames, wanted: NDArray[np.intp], drawn: NDArray[np.float64]
) -> Iterator[list[Any]]:
    """The columns of `_COLUMNS` but the last one."""
    rows = frames.rows[wanted]
    score = np.clip(rows["score"], 0.0, 1.0)
    money = np.abs(rows["amount_minor"].astype(np.float64))
    approved = rows["decision"] == _APPROVED
    yield [frames.ids[frame].decode() for frame in wanted.tolist()]
    yield [DECISIONS[decision] for decision in rows["decision"].tolist()]
    for name in ("event_us", "ingest_us", "amount_minor", "score"):
        yield rows[name].tolist()
    yield np.where(money > 0, score * money, score).tolist()
    columns = zip(drawn[wanted].tolist(), approved.tolist(), strict=True)
    yield [draw if sampled else None for draw, sampled in columns]


def _into_postgres(connection: Connection, columns: list[list[Any]]) -> list[str]:
    """Those of which a verdict is there already."""
    driver: psycopg.Connection[Any] = connection.connection.dbapi_connection  # type: ignore[assignment]
    with driver.cursor() as cursor:
        cursor.execute(SHARE)
        cursor.execute(_POSTGRES, columns)
        return [name for name, open_ in cursor if not open_]


def _into_sqlite(connection: Connection, columns: list[list[Any]]) -> list[str]:
    """The same; there is one writer anyway."""
    driver: sqlite3.Connection = connection.connection.dbapi_connection  # type: ignore[assignment]
    cursor = driver.cursor()
    try:
        cursor.executemany(_SQLITE, zip(*columns, strict=True))
        found: list[str] = []
        for some in parts(columns[0]):
            holes = ", ".join("?" * len(some))
            said = f"SELECT transaction_id FROM verdicts WHERE transaction_id IN ({holes})"  # noqa: S608 - holes alone
            found += [name for (name,) in cursor.execute(said, some)]
        return found
    finally:
        cursor.close()


def in_sample(ids: Sequence[bytes], share: float) -> dict[str, float]:
    """The draws of those of these transactions that are in the sample of this share."""
    drawn = draws(ids)
    chosen = np.flatnonzero(drawn <= share).tolist()
    return {ids[place].decode(): float(drawn[place]) for place in chosen}


def open_flagged(connection: Connection, ids: Iterable[str]) -> None:
    """Open cases for those of these rows that are flagged."""
    for some in parts(ids):
        wanted = transactions.c.transaction_id.in_(some) & (transactions.c.decision != "approve")
        insert_cases(connection, wanted, null())


def open_sampled(connection: Connection, sampled: Mapping[str, float]) -> None:
    """Open cases for those of these rows that are approved, each with its draw."""
    for some in parts(sampled):
        drawn = case({name: sampled[name] for name in some}, value=transactions.c.transaction_id)
        wanted = transactions.c.transaction_id.in_(some) & (transactions.c.decision == "approve")
        insert_cases(connection, wanted, drawn)


def insert_cases(
    connection: Connection, wanted: ColumnElement[bool], drawn: ColumnElement[float] | Null
) -> None:
    """Open cases for these rows; those that are there stay as they are."""
    table = transactions.c
    score = case((table.score > 1, 1.0), (table.score < 0, 0.0), else_=table.score)
    money = func.abs(cast(table.amount_minor, Double))  # whose integer may have no counterpart
    risk = case((money > 0, score * money), else_=score)
    query = select(*(table[name] for name in _OF_ROW), risk, drawn, true()).where(wanted)
    insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    adding = insert(cases).from_select([*_COLUMNS], query)
    connection.execute(adding.on_conflict_do_nothing())


def apply_verdicts(connection: Connection, ids: Iterable[str]) -> None:
    """Tell the cases of these transactions which verdict holds, and close them.

    One that was reopened since that was given stays open.
    """
    table = verdicts.c
    for some in parts(ids):
        query = (
            select(table.transaction_id, table.fraud, table.given_us, table.source)
            .where(table.transaction_id.in_(some), table.weight > 0)
            .order_by(table.given_us, table.label_offset)
        )
        holding = {row.transaction_id: row._asdict() for row in connection.execute(query)}
        if holding:
            connection.execute(_CLOSE, list(holding.values()))


def delete_cases(connection: Connection, ids: Iterable[str]) -> None:
    """Delete the cases of these transactions, and all that people said of them on their way."""
    for some in parts(ids):
        for table in (cases, case_notes, case_tags, reviews):
            connection.execute(delete(table).where(table.c.transaction_id.in_(some)))
