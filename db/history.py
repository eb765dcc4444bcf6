"""The rows of a period as arrays: what a retraining learns from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import func, select

from db.engine import reading
from db.tables import transactions
from tidegate.messages.frames import DECISIONS

_ROWS = 10_000


class Period(NamedTuple):
    """Rows by event time: ids, accounts (None: the profile has none), `times` i8[n] us, `values`
    f8[n, values] as they were scored.

    `others`: how many rows of the period another version of the profile wrote.
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
    """Rows that a shadow scored too: ids, event times i8[n] us, amounts i8[n] in minor units,
    `decided` u1[n] (places in `tidegate.messages.frames.DECISIONS`), both final scores f8[n].
    """

    ids: list[str]
    times: NDArray[np.int64]
    amounts: NDArray[np.int64]
    decided: NDArray[np.uint8]
    champion: NDArray[np.float64]
    shadow: NDArray[np.float64]


def read_shadowed(url: str, profile: str, models_offset: int, detectors: int) -> Shadowed:
    """A profile's (hash) rows that a shadow scored too, beyond that offset of the topic models.

    Raises Retry.
    """
    names = ("transaction_id", "event_us", "amount_minor", "decision", "score", "scores")
    table = transactions.c
    query = (
        select(*(table[name] for name in names))
        .where(table.profile == profile, table.models_offset > models_offset)
        .execution_options(yield_per=_ROWS)
    )
    rows: list[tuple[str, int, int, int, float, float]] = []
    with reading(url) as connection:
        for row in connection.execute(query):
            shadow = _shadow_score(row.scores, detectors)
            if shadow is not None:
                decision = DECISIONS.index(row.decision)
                rows.append((*row[:3], decision, row.score, shadow))
    ids, times, amounts, decided, scores, shadows = _columns(rows, 6)
    return Shadowed(
        list(ids),
        np.array(times, np.int64),
        np.array(amounts, np.int64),
        np.array(decided, np.uint8),
        np.array(scores, np.float64),
        np.array(shadows, np.float64),
    )


def _shadow_score(packed: bytes, detectors: int) -> float | None:
    """The score after those of the detectors, if there is one."""
    beside = np.frombuffer(packed, "<f8")[detectors:]
    return float(beside[0]) if len(beside) and np.isfinite(beside[0]) else None


def read_decided(url: str, profile: str, models_offset: int) -> list[tuple[str, str, str]]:
    """Id, bundle and decision of a profile's (hash) rows beyond that offset of the topic models.

    Raises Retry.
    """
    table = transactions.c
    query = (
        select(table.transaction_id, table.bundle, table.decision)
        .where(table.profile == profile, table.models_offset > models_offset)
        .execution_options(yield_per=_ROWS)
    )
    with reading(url) as connection:
        return [(row.transaction_id, row.bundle, row.decision) for row in connection.execute(query)]


def newest_us(url: str, profile: str) -> int:
    """The newest event time in us of a profile's (hash) rows; 0 without any. Raises Retry."""
    query = select(func.max(transactions.c.event_us)).where(transactions.c.profile == profile)
    with reading(url) as connection:
        return int(connection.scalar(query) or 0)


def read_period(url: str, profile: str, values: int, since_us: int, until_us: int) -> Period:
    """The rows of a profile (hash; so many values each) with `since_us` <= event time < `until_us`.

    Raises Retry.
    """
    table = transactions.c
    within = (table.event_us >= since_us) & (table.event_us < until_us)
    columns = (
        table.transaction_id,
        table.account,
        table.event_us,
        table.amount_minor,
        table.decision,
        table.score,
        table.features,
        table.bundle,
    )
    query = (
        select(*columns)
        .where(within, table.profile == profile)
        .order_by(table.event_us, table.seq)
        .execution_options(yield_per=_ROWS)
    )
    rows: list[tuple[str, str | None, int, int, str, float]] = []
    packed = bytearray()
    bundles: set[str] = set()
    with reading(url) as connection:
        for row in connection.execute(query):
            rows.append(tuple(row[:6]))
            packed += row.features
            bundles.add(row.bundle)
        others = connection.scalar(select(func.count()).where(within, table.profile != profile))
    ids, accounts, times, amounts, decisions, scores = _columns(rows, 6)
    return Period(
        list(ids),
        list(accounts),
        np.array(times, np.int64),
        np.frombuffer(packed, "<f8").reshape(-1, values),
        others or 0,
        np.array(amounts, np.int64),
        np.array([DECISIONS.index(decision) for decision in decisions], np.uint8),
        np.array(scores, np.float64),
        sorted(bundles),
    )


def _columns(rows: Sequence[tuple[Any, ...]], width: int) -> tuple[tuple[Any, ...], ...]:
    """The columns of rows of so many fields, also when there is no row."""
    return tuple(zip(*rows, strict=True)) if rows else ((),) * width
