"""What is written beside new rows, in their SQL transaction: their search block and their cases.

By the driver, as few statements as there can be: a batch of forty rows costs no more than some
round trips do.
"""

from __future__ import annotations

import sqlite3
from typing import Any, cast

import msgspec
import numpy as np
import psycopg
from numpy.typing import NDArray
from sqlalchemy import Connection

from db.blocks.packed import Rows, document
from db.blocks.tables import search_blocks
from db.cases.opening import COLUMNS, apply_verdicts, columns_of
from db.engine import parts
from tidegate.messages.frames import Frames

_BLOCK = search_blocks.c.keys()
_WRITE_BLOCK = (
    f"INSERT INTO search_blocks ({', '.join(_BLOCK)}) VALUES ({{}}) "  # noqa: S608 - names of columns
    "ON CONFLICT (first_seq) DO UPDATE SET "
    + ", ".join(f"{name} = excluded.{name}" for name in _BLOCK if name != "first_seq")
)
_SQLITE_BLOCK = _WRITE_BLOCK.format(", ".join("?" * len(_BLOCK)))
_INSERT_CASES = f"INSERT INTO cases ({', '.join(COLUMNS)}, open) "
_SQLITE_CASES = (
    f"{_INSERT_CASES}VALUES ({', '.join('?' * len(COLUMNS))}, true) "
    "ON CONFLICT (transaction_id) DO NOTHING"
)
_POSTGRES_BLOCK = _WRITE_BLOCK.format(", ".join(["%b"] * len(_BLOCK)))
_POSTGRES_BOTH = f"""
WITH block AS ({_POSTGRES_BLOCK})
{_INSERT_CASES} SELECT new.*, NOT EXISTS (
  SELECT 1 FROM verdicts WHERE verdicts.transaction_id = new.transaction_id AND weight > 0
) FROM json_to_recordset(%s) AS new (
  transaction_id text, decision text, event_us bigint, ingested_us bigint, amount_minor bigint,
  score float8, risk float8, draw float8
)
ON CONFLICT (transaction_id) DO NOTHING RETURNING transaction_id, open
"""  # noqa: S608 - column names of these tables


def write_beside(
    connection: Connection, frames: Frames, inserted: NDArray[np.intp], block: Rows, share: float
) -> None:
    """The block of the new rows, at least one, and cases for those that need them: for what is
    flagged, and for this share of what is approved. `inserted`: whose frames became rows.

    A block replaces one that begins with the same number: SQLite gives numbers again when all rows
    were deleted. On PostgreSQL the transaction holds `db.cases.locking.SHARE`.
    """
    columns = columns_of(frames, inserted, share)
    driver = connection.connection.dbapi_connection
    packed = tuple(document(block).values())
    if connection.dialect.name == "postgresql":
        decided = _into_postgres(cast("psycopg.Connection[Any]", driver), packed, columns)
    else:
        decided = _into_sqlite(cast(sqlite3.Connection, driver), packed, columns)
    if decided:
        apply_verdicts(connection, decided)


def _into_postgres(
    driver: psycopg.Connection[Any], block: tuple[Any, ...], columns: list[list[Any]]
) -> list[str]:
    """Those of which a verdict is there already."""
    with driver.cursor() as cursor:
        if not columns[0]:
            cursor.execute(_POSTGRES_BLOCK, block)
            return []
        rows = [dict(zip(COLUMNS, row, strict=True)) for row in zip(*columns, strict=True)]
        cursor.execute(_POSTGRES_BOTH, (*block, msgspec.json.encode(rows).decode()))
        return [name for name, open_ in cursor if not open_]


def _into_sqlite(
    driver: sqlite3.Connection, block: tuple[Any, ...], columns: list[list[Any]]
) -> list[str]:
    """The same; there is one writer anyway."""
    cursor = driver.cursor()
    try:
        cursor.execute(_SQLITE_BLOCK, block)
        if not columns[0]:
            return []
        cursor.executemany(_SQLITE_CASES, zip(*columns, strict=True))
        found: list[str] = []
        for some in parts(columns[0]):
            holes = ", ".join("?" * len(some))
            said = f"SELECT transaction_id FROM verdicts WHERE transaction_id IN ({holes})"  # noqa: S608 - holes alone
            found += [name for (name,) in cursor.execute(said, some)]
        return found
    finally:
        cursor.close()
