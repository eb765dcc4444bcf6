"""The rows of a period as arrays: what a retraining learns from."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import func, select

from db.engine import open_database, retrying
from db.tables import transactions
from tidegate.messages.frames import DECISIONS

_ROWS = 10_000


class Period(NamedTuple):
    """Rows by event time: ids, accounts (None: the profile has none), `times` i8[n] us, `values`
    f8[n, values] as they were scored. `others`: how many rows of the period another version of the
    profile wrote.

    `amounts` i8[n] in minor units, `decided` u1[n] (places in `frames.DECISIONS`), final `scores`
    f8[n], `bundles`: those that decided.
    """

    ids: list[str]
    accounts: list[str | None]
    times: NDArray[np.int64]
    values: NDArray[np.float64]
    others: int
    amounts: NDArray[np.int64]
    decided: NDArray[np.uint8]
    scores: NDArray[np.float64]
    bundles: list[str]


class Shadowed(NamedTuple):
    """Rows that a shadow scored too: ids, event times i8[n] us, amounts i8[n] in minor units, what
    was decided u1[n] (places in `tidegate.messages.frames.DECISIONS`), final scores f8[n], the
    shadow's f8[n].
    """

    ids: list[str]
    times: NDArray[np.int64]
    amounts: NDArray[np.int64]
    decided: NDArray[np.uint8]
    champion: NDArray[np.float64]
    shadow: NDArray[np.float64]


def read_shadowed(url: str, profile: str, models_offset: int, detectors: int) -> Shadowed:
    """The rows of a profile (hash) that scorers wrote beyond that offset of the topic models, and a
    shadow scored too.

    Raises Retry.
    """
    names = ("transaction_id", "event_us", "amount_minor", "decision", "score", "scores")
    table, database = transactions.c, open_database(url, "read")
    query = (
        select(*(table[name] for name in names))
        .where(table.profile == profile, table.models_offset > models_offset)
        .execution_options(yield_per=_ROWS)
    )
    found: list[tuple[str, int, int, int, float, float]] = []
    try:
        with retrying(database), database.engine.connect() as connection:
            for row in connection.execute(query):
                beside = np.frombuffer(row.scores, "<f8")[detectors:]
                if len(beside) and np.isfinite(beside[0]):
                    found.append(
                        (
                            row.transaction_id,
                            row.event_us,
                            row.amount_minor,
                            DECISIONS.index(row.decision),
                            row.score,
                            float(beside[0]),
                        )
                    )
    finally:
        database.close()
    ids, times, amounts, decided, scores, shadow = zip(*found, strict=True) if found else ((),) * 6
    return Shadowed(
        list(ids),
        np.array(times, np.int64),
        np.array(amounts, np.int64),
        np.array(decided, np.uint8),
        np.array(scores, np.float64),
        np.array(shadow, np.float64),
    )


def read_decided(url: str, profile: str, models_offset: int) -> list[tuple[str, str, str]]:
    """Id, bundle and decision of a profile's (hash) rows from scorers that had read beyond that
    offset of models.

    Raises Retry.
    """
    table, database = transactions.c, open_database(url, "read")
    query = (
        select(table.transaction_id, table.bundle, table.decision)
        .where(table.profile == profile, table.models_offset > models_offset)
        .execution_options(yield_per=_ROWS)
    )
    try:
        with retrying(database), database.engine.connect() as connection:
            return [
                (row.transaction_id, row.bundle, row.decision) for row in connection.execute(query)
            ]
    finally:
        database.close()


def newest_us(url: str, profile: str) -> int:
    """The newest event time in us of a profile's (hash) rows; 0 without any. Raises Retry."""
    database = open_database(url, "read")
    try:
        with retrying(database), database.engine.connect() as connection:
            found = connection.execute(
                select(func.max(transactions.c.event_us)).where(transactions.c.profile == profile)
            ).scalar_one()
    finally:
        database.close()
    return int(found or 0)


def read_period(url: str, profile: str, values: int, since_us: int, until_us: int) -> Period:
    """The rows of a profile (hash; so many values each) with `since_us` <= event time < `until_us`.
    Raises Retry.
    """
    table, database = transactions.c, open_database(url, "read")
    within = (table.event_us >= since_us) & (table.event_us < until_us)
    columns = (
        table.transaction_id,
        table.account,
        table.event_us,
        table.features,
        table.amount_minor,
        table.decision,
        table.score,
        table.bundle,
    )
    query = (
        select(*columns)
        .where(within, table.profile == profile)
        .order_by(table.event_us, table.seq)
        .execution_options(yield_per=_ROWS)
    )
    rows: list[tuple[str, str | None, int, int, str, float]] = []
    packed, bundles = bytearray(), set[str]()
    try:
        with retrying(database), database.engine.connect() as connection:
            for row in connection.execute(query):
                rows.append(
                    (
                        row.transaction_id,
                        row.account,
                        row.event_us,
                        row.amount_minor,
                        row.decision,
                        row.score,
                    )
                )
                packed += row.features
                bundles.add(row.bundle)
            others = (
                connection.scalar(select(func.count()).where(within, table.profile != profile)) or 0
            )
    finally:
        database.close()
    ids, accounts, times, amounts, decided, scores = zip(*rows, strict=True) if rows else ((),) * 6
    return Period(
        list(ids),
        list(accounts),
        np.array(times, np.int64),
        np.frombuffer(packed, "<f8").reshape(-1, values),
        others,
        np.array(amounts, np.int64),
        np.array([DECISIONS.index(word) for word in decided], np.uint8),
        np.array(scores, np.float64),
        sorted(bundles),
    )
