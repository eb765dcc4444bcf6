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


def read_shadowed(url: str, profile: str, models_offset: int, detectors: int,
                  ) -> tuple[list[str], NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
    """The rows of a profile (hash) that scorers wrote beyond that offset of the topic models, and a shadow scored too.

    Ids, event times i8[n] us, final scores f8[n], the shadow's f8[n]. Raises Retry.
    """
    table, database = transactions.c, open_database(url, "read")
    query = select(table.transaction_id, table.event_us, table.score, table.scores).where(
        table.profile == profile, table.models_offset > models_offset).execution_options(yield_per=_ROWS)
    ids: list[str] = []
    found: list[tuple[int, float, float]] = []
    try:
        with retrying(database), database.engine.connect() as connection:
            for row in connection.execute(query):
                beside = np.frombuffer(row.scores, "<f8")[detectors:]
                if len(beside) and np.isfinite(beside[0]):
                    ids.append(row.transaction_id)
                    found.append((row.event_us, row.score, float(beside[0])))
    finally:
        database.close()
    times, scores, shadow = zip(*found, strict=True) if found else ((), (), ())
    return ids, np.array(times, np.int64), np.array(scores, np.float64), np.array(shadow, np.float64)


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
