"""Rows that go after so many days."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from sqlalchemy import Connection, delete, select

from db.blocks.upkeep import remove_rows
from db.cases.opening import delete_cases
from db.engine import Database, parts, retrying
from db.tables import revisions, transactions

_DAY_US = 86_400_000_000
_PAUSE_US = 3_600_000_000
"""Between the last row that was old enough and the next look."""
_AT_ONCE = 2_000
"""Rows that are deleted in one transaction, so that nobody waits for long."""


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
        return delete_rows(connection, [row[0] for row in rows if row[1] < before_us])


def delete_rows(connection: Connection, ids: Iterable[str]) -> int:
    """Delete these rows, their revisions, cases and places in search blocks, in the open
    transaction; how many rows.
    """
    deleted = 0
    seqs: list[int] = []
    for some in parts(ids):
        those = transactions.c.transaction_id.in_(some)
        seqs += connection.scalars(select(transactions.c.seq).where(those)).all()
        connection.execute(delete(revisions).where(revisions.c.transaction_id.in_(some)))
        deleted += connection.execute(delete(transactions).where(those)).rowcount
        delete_cases(connection, some)
    remove_rows(connection, seqs)
    return deleted
