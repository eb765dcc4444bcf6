"""Rows that were decided without a failed or late detector, and what they would have been with it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from sqlalchemy import exists, select
from sqlalchemy.dialects import postgresql, sqlite

from db.engine import open_database, retrying
from db.tables import revisions, transactions
from tidegate.messages import Decision

_ROWS = 10_000


class DegradedRow(NamedTuple):
    """What scoring it again needs; `features` are packed <f8, as in the row."""

    transaction_id: str
    bundle: str
    online_labels: int
    amount_minor: int
    features: bytes


class Revision(NamedTuple):
    """`scores` are packed <f8, one for each detector."""

    transaction_id: str
    rescored_us: int
    score: float
    decision: Decision
    scores: bytes


def read_degraded(url: str, profile: str, detectors: int) -> list[DegradedRow]:
    """A profile's (hash) rows that lack a detector's score and have no revision, oldest first. Reads the whole table.

    Raises Retry.
    """
    table, database = transactions.c, open_database(url, "read")
    columns = [table[name] for name in (*DegradedRow._fields, "scores")]
    revised = exists().where(revisions.c.transaction_id == table.transaction_id)
    query = select(*columns).where(table.profile == profile, ~revised).order_by(table.seq).execution_options(
        yield_per=_ROWS)
    try:
        with retrying(database), database.engine.connect() as connection:
            return [DegradedRow(*row[:-1]) for row in connection.execute(query)
                    if np.isnan(np.frombuffer(row.scores, "<f8")[:detectors]).any()]
    finally:
        database.close()


def write_revisions(url: str, found: Sequence[Revision]) -> None:
    """Write them in one transaction; those that are there already stay as they are. Raises Retry."""
    database = open_database(url)
    make = postgresql.insert if database.file is None else sqlite.insert
    try:
        with retrying(database), database.engine.begin() as connection:
            if found:
                connection.execute(make(revisions).on_conflict_do_nothing(), [part._asdict() for part in found])
    finally:
        database.close()
