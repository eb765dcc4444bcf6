"""Rows of the last days with their verdicts, as a policy is tried on them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from sqlalchemy import Connection, Row, func, select

from db.cases.tables import verdicts
from db.engine import parts, reading
from db.spread import first_since
from db.tables import transactions
from model.policy.backtest import DecidedRows
from model.policy.facts import Rows
from tidegate.messages.frames import DECISIONS
from tidegate.profile import Profile

MOST_ROWS = 50_000
"""So many at most, the newest ones: some seconds, and some 100 MB."""
_PAGE = 5_000
_COLUMNS = (
    *("seq", "transaction_id", "event_us", "ingested_us", "amount_minor", "score", "decision"),
    *("model_decision", "features", "scores", "keys", "payload", "bundle"),
)


def past_rows(url: str, profile: Profile, since_us: int, most: int = MOST_ROWS) -> DecidedRows:
    """A profile's rows that were ingested at `since_us` or later, the newest `most` of them.

    Raises Retry.
    """
    found: list[Row[Any]] = []
    with reading(url) as connection:
        newest = connection.scalar(select(func.max(transactions.c.seq))) or 0
        first, before = first_since(connection, since_us, newest), newest + 1
        while len(found) < most:
            wanted = first, before, min(_PAGE, most - len(found))
            page = _page(connection, profile.hash.decode(), *wanted)
            if not page:
                break
            found += [row for row in page if row.ingested_us >= since_us]
            before = page[-1].seq
        frauds = _verdicts(connection, [row.transaction_id for row in found])
    return _decided(profile, found, frauds)


def _page(
    connection: Connection, profile: str, first: int, before: int, most: int
) -> Sequence[Row[Any]]:
    table = transactions.c
    within = table.profile == profile, table.seq >= first, table.seq < before
    query = select(*(table[name] for name in _COLUMNS)).where(*within)
    return connection.execute(query.order_by(table.seq.desc()).limit(most)).all()


def _verdicts(connection: Connection, ids: Sequence[str]) -> dict[str, bool]:
    """Of the verdicts on each transaction the one that holds; without weight they count nowhere."""
    holding: dict[str, tuple[int, int, bool]] = {}
    table = verdicts.c
    columns = table.transaction_id, table.given_us, table.label_offset, table.fraud
    for some in parts(ids):
        query = select(*columns).where(table.transaction_id.in_(some), table.weight > 0)
        for name, given, offset, fraud in connection.execute(query):
            holding[name] = max(holding.get(name, (-1, -1, False)), (given, offset, bool(fraud)))
    return {name: fraud for name, (_, _, fraud) in holding.items()}


def _decided(
    profile: Profile, found: Sequence[Row[Any]], frauds: Mapping[str, bool]
) -> DecidedRows:
    n, detectors = len(found), len(profile.models.names)
    code = {name: place for place, name in enumerate(DECISIONS)}
    scores = np.full((n, detectors), np.nan)
    if n:
        packed = np.frombuffer(b"".join(row.scores for row in found), "<f8").reshape(n, -1)
        scores[:] = packed[:, :detectors]
    rows = Rows(
        _packed(found, "features", "<f8", len(profile.values)),
        _packed(found, "keys", "<u8", len(profile.hashed)),
        np.array([row.score for row in found], np.float64),
        scores,
        np.array([code[row.model_decision or row.decision] for row in found], np.uint8),
        np.array([row.ingested_us for row in found], np.int64),
        [row.payload.encode() for row in found],
    )
    return DecidedRows(
        rows,
        np.array([row.amount_minor for row in found], np.int64),
        np.array([code[row.decision] for row in found], np.uint8),
        np.array([frauds.get(row.transaction_id, -1) for row in found], np.int8),
        np.array([row.event_us for row in found], np.int64),
        np.array([row.bundle for row in found], np.str_),
    )


def _packed(found: Sequence[Row[Any]], name: str, kind: str, width: int) -> Any:  # noqa: ANN401 - either kind of array
    return np.frombuffer(b"".join(getattr(row, name) for row in found), kind).reshape(
        len(found), width
    )
