"""A few rows of each of many moments: what a page can read of a long time while people wait."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Column, Connection, Row, func, select

from db.engine import reading
from db.tables import transactions

_seq = transactions.c.seq
_STEPS = 64


def spread_rows(
    url: str,
    profile: str,
    columns: Sequence[Column[Any]],
    since_us: int,
    windows: int,
    rows: int,
) -> list[list[Row[Any]]]:
    """At most `rows` rows of a profile (hash) at each of so many places, evenly among all that
    came since `since_us`, oldest first; a row is met once.

    Each place is a look-up by the primary key, however large the table is. Raises Retry.
    """
    with reading(url) as connection:
        newest = connection.scalar(select(func.max(_seq)))
        if newest is None:
            return []
        first = first_since(connection, since_us, newest)
        found, after = [], first - 1
        for place in range(windows):
            start = first + (newest - first) * place // windows
            query = (
                select(_seq, *columns)
                .where(_seq > max(after, start - 1), transactions.c.profile == profile)
                .order_by(_seq)
                .limit(rows)
            )
            window = list(connection.execute(query))
            if not window:  # nor is there any further on
                break
            after = window[-1].seq
            found.append(window)
        return found


def first_since(connection: Connection, since_us: int, newest: int) -> int:
    """The lowest `seq` of those that were ingested at `since_us` or later, by halving: rows are
    inserted about in the order in which they were ingested.
    """
    low = connection.scalar(select(func.min(_seq))) or 0
    high = newest + 1
    for _ in range(_STEPS):
        if low >= high:
            break
        middle = (low + high) // 2
        query = select(_seq, transactions.c.ingested_us).where(_seq >= middle)
        row = connection.execute(query.order_by(_seq).limit(1)).first()
        if row is None or row.ingested_us >= since_us:
            high = middle
        else:
            low = row.seq + 1
    return low
