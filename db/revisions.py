"""Rows that were decided without a failed or late detector, and their revisions with it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import exists, func, or_, select
from sqlalchemy.dialects import postgresql, sqlite

from db.engine import open_database, reading, retrying
from db.tables import revisions, transactions
from tidegate.messages.frames import Decision

_ROWS = 10_000
_NO_NUMBER = (b"\x7f", b"\xff")
"""The last byte of a packed <f8 that is NaN, with either sign; no probability ends with one of
these.
"""


class DegradedRow(NamedTuple):
    """What scoring it again needs; `features` are packed <f8 and `keys` <u8, as in the row."""

    transaction_id: str
    bundle: str
    online_labels: int
    amount_minor: int
    features: bytes
    keys: bytes
    ingested_us: int
    payload: str
    policy: str | None


class Revision(NamedTuple):
    """`scores` are packed <f8, one for each detector."""

    transaction_id: str
    rescored_us: int
    score: float
    decision: Decision
    scores: bytes


def read_degraded(url: str, profile: str, detectors: int) -> list[DegradedRow]:
    """A profile's (hash) rows that lack a detector's score and have no revision, oldest first.

    The database looks at all rows. Raises Retry.
    """
    table = transactions.c
    lacks = or_(
        *(func.substr(table.scores, 8 * place + 8, 1).in_(_NO_NUMBER) for place in range(detectors))
    )
    revised = exists().where(revisions.c.transaction_id == table.transaction_id)
    query = (
        select(*(table[name] for name in DegradedRow._fields))
        .where(table.profile == profile, lacks, ~revised)
        .order_by(table.seq)
        .execution_options(yield_per=_ROWS)
    )
    with reading(url) as connection:
        return [DegradedRow(*row) for row in connection.execute(query)]


def write_revisions(url: str, rescored: Sequence[Revision]) -> None:
    """Write them in one transaction; those that are there already stay as they are.

    Raises Retry.
    """
    database = open_database(url)
    insert = postgresql.insert if database.file is None else sqlite.insert
    statement = insert(revisions).on_conflict_do_nothing()
    try:
        with retrying(database), database.engine.begin() as connection:
            if rescored:
                connection.execute(statement, [revision._asdict() for revision in rescored])
    finally:
        database.close()
