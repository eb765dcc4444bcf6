"""What stands around a transaction: verdicts, other rows of an account or an entity."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, select

from db.cases.tables import verdicts
from db.search.filters import holding
from db.tables import transactions


def verdicts_on(connection: Connection, ids: Sequence[str]) -> dict[str, bool]:
    """Of these transactions those with a verdict that counts: whether it says fraud."""
    held = holding(verdicts.c.transaction_id.in_(ids))
    return {row.transaction_id: bool(row.fraud) for row in connection.execute(held)}


def event_us_of(connection: Connection, seq: int) -> int | None:
    """The event time of the row with this number, if it is there."""
    return connection.scalar(select(transactions.c.event_us).where(transactions.c.seq == seq))
