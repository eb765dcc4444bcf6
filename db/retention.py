"""Rows that go: after so many days, or all of one account."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import islice

from sqlalchemy import Connection, delete, select

from db.audit import Act, append
from db.engine import Database, open_database, retrying
from db.tables import revisions, transactions

_DAY_US = 86_400_000_000
_PAUSE_US = 3_600_000_000
"""Between the last row that was old enough and the next look."""
_AT_ONCE = 2_000
"""Rows that are deleted in one transaction, so that nobody waits for long."""
_IDS = 500
"""Ids in one IN list."""


class Retention:
    """Deletes rows that came in more than `days` ago, some at each turn. `clock` gives us."""

    def __init__(self, days: int, clock: Callable[[], int]) -> None:
        self._days, self._clock = days, clock
        self._next_us = 0

    def turn(self, database: Database) -> int:
        """How many rows went. Looks at the oldest ones only; once they stay, an hour later again.

        Raises Retry.
        """
        now = self._clock()
        if now < self._next_us:
            return 0
        deleted = delete_older(database, now - self._days * _DAY_US)
        if not deleted:
            self._next_us = now + _PAUSE_US
        return deleted


def delete_older(database: Database, before_us: int) -> int:
    """Delete those of the rows that were written first that came in before this time; how many.

    Rows are written about in the order in which they come in, so this needs no index of its own.
    Raises Retry.
    """
    first = select(transactions.c.transaction_id, transactions.c.ingested_us)
    query = first.order_by(transactions.c.seq).limit(_AT_ONCE)
    with retrying(database), database.engine.begin() as connection:
        rows = connection.execute(query).all()
        return _delete(connection, [row[0] for row in rows if row[1] < before_us])


def erase(url: str, account: str, by: str) -> int:
    """Delete all rows of an account, and tell the audit how many, but not whose. Raises Retry.

    SQLite also overwrites them in its file.
    """
    database = open_database(url)
    try:
        with retrying(database):
            if database.file is not None:
                _overwriting(database)
            with database.engine.begin() as connection:
                ids = select(transactions.c.transaction_id).where(transactions.c.account == account)
                erased = _delete(connection, connection.scalars(ids).all())
                append(connection, Act(by, "account erased", "an account", {"rows": erased}))
            if database.file is not None:
                _emptied_log(database)
    finally:
        database.close()
    return erased


def _delete(connection: Connection, ids: Iterable[str]) -> int:
    remaining, deleted = iter(ids), 0
    while some := list(islice(remaining, _IDS)):
        connection.execute(delete(revisions).where(revisions.c.transaction_id.in_(some)))
        gone = connection.execute(
            delete(transactions).where(transactions.c.transaction_id.in_(some))
        )
        deleted += gone.rowcount
    return deleted


def _overwriting(database: Database) -> None:
    """Let this database's one connection fill what it deletes with zeros."""
    _pragma(database, "secure_delete=ON")


def _emptied_log(database: Database) -> None:
    """Copy the write-ahead log into the file and empty it, as far as no reader needs it."""
    _pragma(database, "wal_checkpoint(TRUNCATE)")


def _pragma(database: Database, pragma: str) -> None:
    """Outside of a transaction, in which SQLite would ignore it; the pool keeps the connection."""
    raw = database.engine.raw_connection()
    try:
        raw.cursor().execute(f"PRAGMA {pragma}").fetchall()
    finally:
        raw.close()
