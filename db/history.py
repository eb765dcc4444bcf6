"""The rows of a period as arrays: what a retraining learns from."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import func, select

from db.engine import open_database, retrying
from db.tables import transactions

_ROWS = 10_000


class Period(NamedTuple):
    """Rows by event time: ids, accounts (None: the profile has none), `times` i8[n] us, `values` f8[n, values] as they
    were scored. `others`: how many rows of the period another version of the profile wrote.
    """

    ids: list[str]
    accounts: list[str | None]
    times: NDArray[np.int64]
    values: NDArray[np.float64]
    others: int


def read_period(url: str, profile: str, values: int, since_us: int, until_us: int) -> Period:
    """The rows of a profile (hash; so many values each) with `since_us` <= event time < `until_us`. Raises Retry."""
    table, database = transactions.c, open_database(url, "read")
    within = (table.event_us >= since_us) & (table.event_us < until_us)
    query = select(table.transaction_id, table.account, table.event_us, table.features).where(
        within, table.profile == profile).order_by(table.event_us, table.seq).execution_options(yield_per=_ROWS)
    ids: list[str] = []
    accounts: list[str | None] = []
    times: list[int] = []
    packed = bytearray()
    try:
        with retrying(database), database.engine.connect() as connection:
            for row in connection.execute(query):
                ids.append(row.transaction_id)
                accounts.append(row.account)
                times.append(row.event_us)
                packed += row.features
            others = connection.scalar(select(func.count()).where(within, table.profile != profile)) or 0
    finally:
        database.close()
    return Period(ids, accounts, np.array(times, np.int64), np.frombuffer(packed, "<f8").reshape(-1, values), others)
