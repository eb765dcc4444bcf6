"""What was decided in the newest days: what `tidegate quality` judges."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, func, inspect, select

from db.engine import open_database, retrying
from db.tables import transactions
from tidegate.profile.spec import DAY

_ROWS = 10_000


class Decisions(NamedTuple):
    """A profile's rows in order of arrival: ids, event times i8[n] us, `flagged` bool[n], and when
    they came in i8[n] us.

    `others` counts the rows of these days that another profile, or another version of this one,
    wrote: they are not among them.
    """

    ids: list[str]
    times: NDArray[np.int64]
    flagged: NDArray[np.bool_]
    came_in: NDArray[np.int64]
    others: int


def read_decisions(url: str, profile: str, days: float) -> Decisions:
    """The rows of a profile (hash) within `days` of its newest event time.

    Nothing from a database that has no tables yet. Raises Retry.
    """
    database = open_database(url, "read")
    try:
        if database.file is not None and not database.file.exists():
            return _decisions([], 0)  # reading it would create it
        with retrying(database), database.engine.connect() as connection:
            if not inspect(connection).has_table(transactions.name):
                return _decisions([], 0)
            return _read(connection, profile, days)
    finally:
        database.close()


def _read(connection: Connection, profile: str, days: float) -> Decisions:
    table = transactions.c
    newest = connection.scalar(select(func.max(table.event_us)).where(table.profile == profile))
    recent = table.event_us > (newest or 0) - days * DAY
    query = (
        select(table.transaction_id, table.event_us, table.decision, table.ingested_us)
        .where(table.profile == profile, recent)
        .order_by(table.seq)
        .execution_options(yield_per=_ROWS)
    )
    rows = [tuple(row) for row in connection.execute(query)]
    others = select(func.count()).where(table.profile != profile)
    if newest is not None:
        others = others.where(recent)
    return _decisions(rows, connection.scalar(others) or 0)


def _decisions(rows: list[tuple[str, int, str, int]], others: int) -> Decisions:
    return Decisions(
        [row[0] for row in rows],
        np.array([row[1] for row in rows], np.int64),
        np.array([row[2] != "approve" for row in rows], np.bool_),
        np.array([row[3] for row in rows], np.int64),
        others,
    )
