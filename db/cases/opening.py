"""Cases are opened by rows and closed by verdicts, each in the transaction that writes these.

A case is opened where its row is written, by what the row says: so there is one for each row that
needs one, whatever comes again. A verdict becomes a label only when its row can be read, so its
case is there before it. All the same either side looks for what the other has written, and the lock
lets neither overlook the other: a database may be filled anew from the topics.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import (
    ColumnElement,
    Connection,
    Double,
    Null,
    case,
    cast,
    delete,
    func,
    null,
    select,
    text,
    true,
)
from sqlalchemy.dialects import postgresql, sqlite

from db.cases.tables import case_notes, case_tags, cases, reviews, verdicts
from db.engine import parts
from db.tables import transactions
from model.sampling import draws
from tidegate.messages.frames import DECISIONS, Frames

_APPROVED = DECISIONS.index("approve")
_OF_ROW = ("transaction_id", "decision", "event_us", "ingested_us", "amount_minor", "score")
COLUMNS = (*_OF_ROW, "risk", "draw")
"""What a new case has of its row."""
_CLOSE = text(
    "UPDATE cases SET fraud = :fraud, decided_us = :given_us, decided_by = :source, "
    "open = (open AND reopened_us > :given_us) WHERE transaction_id = :transaction_id"
)


def columns_of(frames: Frames, inserted: NDArray[np.intp], share: float) -> list[list[Any]]:
    """`COLUMNS` of the cases that new rows need: what is flagged, and this share of what is
    approved. `inserted`: whose frames became rows.
    """
    drawn = draws(frames.ids)
    flagged = frames.rows["decision"] != _APPROVED
    return list(_columns(frames, inserted[(flagged | (drawn <= share))[inserted]], drawn))


def _columns(
    frames: Frames, wanted: NDArray[np.intp], drawn: NDArray[np.float64]
) -> Iterator[list[Any]]:
    if not len(wanted):
        yield from ([] for _ in COLUMNS)
        return
    rows = frames.rows[wanted]
    score = np.clip(rows["score"], 0.0, 1.0)
    money = np.abs(rows["amount_minor"].astype(np.float64))
    approved = rows["decision"] == _APPROVED
    yield [frames.ids[frame].decode() for frame in wanted.tolist()]
    yield [DECISIONS[decision] for decision in rows["decision"].tolist()]
    for name in ("event_us", "ingest_us", "amount_minor", "score"):
        yield rows[name].tolist()
    yield np.where(money > 0, score * money, score).tolist()
    columns = zip(drawn[wanted].tolist(), approved.tolist(), strict=True)
    yield [draw if sampled else None for draw, sampled in columns]


def in_sample(ids: Sequence[bytes], share: float) -> dict[str, float]:
    """The draws of those of these transactions that are in the sample of this share."""
    drawn = draws(ids)
    chosen = np.flatnonzero(drawn <= share).tolist()
    return {ids[place].decode(): float(drawn[place]) for place in chosen}


def open_flagged(connection: Connection, ids: Iterable[str]) -> None:
    """Open cases for those of these rows that are flagged."""
    for some in parts(ids):
        wanted = transactions.c.transaction_id.in_(some) & (transactions.c.decision != "approve")
        insert_cases(connection, wanted, null())


def open_sampled(connection: Connection, sampled: Mapping[str, float]) -> None:
    """Open cases for those of these rows that are approved, each with its draw."""
    for some in parts(sampled):
        drawn = case({name: sampled[name] for name in some}, value=transactions.c.transaction_id)
        wanted = transactions.c.transaction_id.in_(some) & (transactions.c.decision == "approve")
        insert_cases(connection, wanted, drawn)


def insert_cases(
    connection: Connection, wanted: ColumnElement[bool], drawn: ColumnElement[float] | Null
) -> None:
    """Open cases for these rows; those that are there stay as they are."""
    table = transactions.c
    score = case((table.score > 1, 1.0), (table.score < 0, 0.0), else_=table.score)
    money = func.abs(cast(table.amount_minor, Double))  # whose integer may have no counterpart
    risk = case((money > 0, score * money), else_=score)
    query = select(*(table[name] for name in _OF_ROW), risk, drawn, true()).where(wanted)
    insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    adding = insert(cases).from_select([*COLUMNS, "open"], query)
    connection.execute(adding.on_conflict_do_nothing())


def apply_verdicts(connection: Connection, ids: Iterable[str]) -> None:
    """Tell the cases of these transactions which verdict holds, and close them.

    One that was reopened since that was given stays open.
    """
    table = verdicts.c
    for some in parts(ids):
        query = (
            select(table.transaction_id, table.fraud, table.given_us, table.source)
            .where(table.transaction_id.in_(some), table.weight > 0)
            .order_by(table.given_us, table.label_offset)
        )
        holding = {row.transaction_id: row._asdict() for row in connection.execute(query)}
        if holding:
            connection.execute(_CLOSE, list(holding.values()))


def delete_cases(connection: Connection, ids: Iterable[str]) -> None:
    """Delete the cases of these transactions, and all that people said of them on their way."""
    for some in parts(ids):
        for table in (cases, case_notes, case_tags, reviews):
            connection.execute(delete(table).where(table.c.transaction_id.in_(some)))
