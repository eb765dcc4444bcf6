"""Scores of the last weeks and the verdicts on them: what the page of the thresholds looks at."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Row, Select, select

from db.blocks import packed
from db.blocks.reading import contents_of
from db.blocks.tables import search_blocks
from db.cases.tables import cases, verdicts
from db.engine import reading
from db.tables import transactions
from tidegate.messages.frames import DECISIONS

MOST_ROWS, MOST_VERDICTS = 2_000_000, 20_000
"""The newest ones that are read."""
_SOME = 256
"""Blocks read in one statement."""
_rows, _blocks = transactions.c, search_blocks.c


class Recent(NamedTuple):
    """Rows as `db.blocks.packed.ROW`, the newest block first. `whole`: whether they reach back as
    far as was asked for.
    """

    rows: packed.Rows
    whole: bool


def newest_us(url: str) -> int:
    """The latest event time of all rows; 0 without any. Raises Retry."""
    query = select(_blocks.max_event_us).order_by(_blocks.last_seq.desc()).limit(_SOME)
    with reading(url) as connection:
        return max(connection.scalars(query), default=0)


def read_recent(url: str, since_us: int, others: Collection[str] = ()) -> Recent:
    """The rows with an event time from `since_us` on, but those that bundles in `others` decided.

    Raises Retry.
    """
    ranges = select(_blocks.first_seq, _blocks.rows).where(_blocks.max_event_us >= since_us)
    found: list[packed.Rows] = []
    with reading(url) as connection:
        blocks = connection.execute(ranges.order_by(_blocks.last_seq.desc())).all()
        total = np.cumsum([block.rows for block in blocks])
        kept = int(np.searchsorted(total, MOST_ROWS, side="right"))
        firsts = [block.first_seq for block in blocks[:kept]]
        for start in range(0, kept, _SOME):
            contents = contents_of(connection, firsts[start : start + _SOME])
            found += map(packed.unpack, contents.values())
    rows = np.concatenate(found) if found else np.zeros(0, packed.ROW)
    codes = np.array([packed.code(name) for name in others], np.uint32)
    wanted = (rows["event_us"] >= since_us) & ~np.isin(rows["bundle"], codes)
    return Recent(rows[wanted], kept == len(blocks))


class Verdicts(NamedTuple):
    """Transactions with the verdict that holds: ids, when they were (i8[n], us), scores f8[n],
    amounts i8[n] in minor units, decisions u1[n] (places in `frames.DECISIONS`), whether a fraud;
    and whether the row is `sampled`: one of the approved ones that are reviewed whatever their
    score.
    """

    ids: list[str]
    event_us: NDArray[np.int64]
    scores: NDArray[np.float64]
    amounts: NDArray[np.int64]
    decisions: NDArray[np.uint8]
    fraud: NDArray[np.bool_]
    sampled: NDArray[np.bool_]


def read_verdicts(url: str, profile: str, since_us: int, until_us: int) -> Verdicts:
    """The newest `MOST_VERDICTS` verdicts on rows of a profile (hash) with an event time in that
    span; of several on one row the one that holds. Raises Retry.
    """
    table = verdicts.c
    newest = (
        select(verdicts)
        .where(table.event_us >= since_us, table.event_us < until_us, table.weight > 0)
        .where(table.profile == profile)
        .order_by(table.label_offset.desc())
        .limit(MOST_VERDICTS)
        .subquery()
    )
    names = ("transaction_id", "event_us", "score", "amount_minor", "decision", "fraud")
    case = (cases.c.transaction_id == newest.c.transaction_id) & (newest.c.decision == "approve")
    query: Select[Any] = (
        select(*(newest.c[name] for name in names), cases.c.draw)
        .select_from(newest.outerjoin(cases, case))
        .order_by(newest.c.given_us, newest.c.label_offset)
    )
    with reading(url) as connection:
        found = connection.execute(query).all()
    rows = list({row.transaction_id: row for row in found}.values())
    return Verdicts(
        [row.transaction_id for row in rows],
        np.array([row.event_us for row in rows], np.int64),
        np.array([row.score for row in rows], np.float64),
        np.array([row.amount_minor for row in rows], np.int64),
        np.array([DECISIONS.index(row.decision) for row in rows], np.uint8),
        np.array([bool(row.fraud) for row in rows], np.bool_),
        np.array([row.draw is not None for row in rows], np.bool_),
    )


def rows_at(url: str, seqs: Sequence[int]) -> list[Row[Any]]:
    """Seq, id, score, decision, amount and event time of these rows, newest first. Raises Retry."""
    query = select(
        _rows.seq,
        _rows.transaction_id,
        _rows.score,
        _rows.decision,
        _rows.amount_minor,
        _rows.event_us,
    )
    with reading(url) as connection:
        return list(connection.execute(query.where(_rows.seq.in_(seqs)).order_by(_rows.seq.desc())))
