"""What stands around a transaction: verdicts, rows of the same account or entity, known frauds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import ColumnElement, Connection, select

from db.cases.tables import verdicts
from db.search.filters import Filters, holding
from db.search.search import search
from db.tables import transactions

FRAUDS = 400
"""Most verdicts `fraud`, the newest ones, among which similar cases are looked for."""
_BRIEF = ("seq", "transaction_id", "event_us", "amount_minor", "score", "decision")


class Neighbour(NamedTuple):
    """A row beside another one. `fraud`: what the verdict says that holds, None without one."""

    seq: int
    transaction_id: str
    event_us: int
    amount_minor: int
    score: float
    decision: str
    fraud: bool | None


class Given(NamedTuple):
    """A verdict; `holds` is True for the one that does."""

    label_id: str
    fraud: bool
    source: str
    weight: float
    given_us: int
    holds: bool


class Similar(NamedTuple):
    """A confirmed fraud, and how far it is from the transaction: in standard deviations, the root
    mean square over the features.
    """

    transaction_id: str
    event_us: int
    amount_minor: int
    score: float
    decision: str
    distance: float
    payload: str


def verdicts_on(connection: Connection, ids: Sequence[str]) -> dict[str, bool]:
    """Of these transactions those with a verdict that counts: whether it says fraud."""
    held = holding(verdicts.c.transaction_id.in_(ids))
    return {row.transaction_id: bool(row.fraud) for row in connection.execute(held)}


def history(connection: Connection, transaction_id: str) -> list[Given]:
    """All verdicts on a transaction, newest first."""
    table = verdicts.c
    query = select(verdicts).where(table.transaction_id == transaction_id)
    rows = connection.execute(query.order_by(table.given_us.desc(), table.label_offset.desc()))
    given: list[Given] = []
    for row in rows:
        holds = row.weight > 0 and not any(each.holds for each in given)
        given.append(
            Given(row.label_id, bool(row.fraud), row.source, row.weight, row.given_us, holds)
        )
    return given


def event_us_of(connection: Connection, seq: int) -> int | None:
    """The event time of the row with this number, if it is there."""
    return connection.scalar(select(transactions.c.event_us).where(transactions.c.seq == seq))


def of_account(
    connection: Connection, account: str, seq: int, before: int, after: int
) -> list[Neighbour]:
    """The row `seq`, so many of its account's rows that were written before it, and after it."""
    table = transactions.c
    same = table.account == account
    earlier = _brief(same, table.seq <= seq).order_by(table.seq.desc()).limit(before + 1)
    later = _brief(same, table.seq > seq).order_by(table.seq).limit(after)
    return _neighbours(
        connection, [*connection.execute(earlier).all(), *connection.execute(later).all()]
    )


def of_second(
    connection: Connection, entity: str, value: str, seq: int, before: int
) -> list[Neighbour]:
    """The row `seq`, and the rows of its second entity that were written last before it."""
    filters = Filters(second=value, second_entity=entity)
    found = search(connection, filters, seq + 1, before + 1).seqs
    return _neighbours(connection, connection.execute(_brief(transactions.c.seq.in_(found))).all())


def similar_frauds(connection: Connection, seq: int, most: int) -> list[Similar]:
    """The confirmed frauds of the same profile that are nearest to the row `seq`, by features of
    which each counts alike; nearest first.
    """
    columns = (*_BRIEF, "features", "payload", "profile")
    rows = select(*(transactions.c[name] for name in columns))
    this = connection.execute(rows.where(transactions.c.seq == seq)).one_or_none()
    if this is None:
        return []
    ids = [
        name for name, fraud in _newest_frauds(connection) if fraud and name != this.transaction_id
    ]
    table = transactions.c
    found = connection.execute(
        rows.where(table.transaction_id.in_(ids), table.profile == this.profile)
    ).all()
    if not found:
        return []
    features = np.array([np.frombuffer(row.features, "<f8") for row in (this, *found)])
    distances = _distances(features)
    nearest = np.argsort(distances, kind="stable")[:most].tolist()
    return [
        Similar(
            found[place].transaction_id,
            found[place].event_us,
            found[place].amount_minor,
            found[place].score,
            found[place].decision,
            float(distances[place]),
            found[place].payload,
        )
        for place in nearest
    ]


def _newest_frauds(connection: Connection) -> list[tuple[str, bool]]:
    """Transactions that were called fraud lately, and whether that still holds."""
    table = verdicts.c
    query = select(table.transaction_id).where(table.fraud, table.weight > 0)
    ids = connection.scalars(query.order_by(table.label_offset.desc()).limit(FRAUDS)).all()
    return list(verdicts_on(connection, list(dict.fromkeys(ids))).items())


def _distances(features: NDArray[np.float64]) -> NDArray[np.float64]:
    """Root mean square of the standardised differences of the first row to each of the others.

    A feature that only one of the two has differs by one standard deviation.
    """
    finite = np.isfinite(features)
    known = np.where(finite, features, np.nan)
    with np.errstate(all="ignore"):
        counts = finite.sum(axis=0)
        means = np.where(finite, features, 0.0).sum(axis=0) / np.maximum(counts, 1)
        squares = np.where(finite, (features - means) ** 2, 0.0).sum(axis=0)
        spread = np.sqrt(squares / np.maximum(counts, 1))
        differences = (known[1:] - known[0]) / np.where(spread > 0, spread, 1.0)
    one_sided = finite[1:] != finite[0]
    differences = np.where(one_sided, 1.0, np.where(finite[1:] & finite[0], differences, 0.0))
    distances: NDArray[np.float64] = np.sqrt((differences**2).mean(axis=1))
    return distances


def _brief(*conditions: ColumnElement[bool]) -> Any:  # noqa: ANN401 - a Select of six columns
    return select(*(transactions.c[name] for name in _BRIEF)).where(*conditions)


def _neighbours(connection: Connection, rows: Sequence[Any]) -> list[Neighbour]:
    held = verdicts_on(connection, [row.transaction_id for row in rows])
    return [
        Neighbour(
            row.seq,
            row.transaction_id,
            row.event_us,
            row.amount_minor,
            row.score,
            row.decision,
            held.get(row.transaction_id),
        )
        for row in rows
    ]
