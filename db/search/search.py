"""Finding transactions, newest first, a page at a time and within bounds.

An id, an account, or few verdicts lead to rows by an index. Any other search sifts the search
blocks (`db.blocks`), newest first, and asks the rows that come through whether they are meant.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any, NamedTuple

import numpy as np
from sqlalchemy import Connection, Row, Select, func, select

from db.blocks import packed
from db.blocks.reading import contents_of
from db.blocks.tables import search_blocks
from db.cases.tables import verdicts
from db.engine import parts
from db.search.filters import Filters, holding, rounded
from db.tables import transactions

LOOKED_AT = 3_000_000
"""Most rows of blocks that one page looks at."""
FETCHED = 50_000
"""Most rows that one page asks whether they are meant."""
_AT_ONCE = 500
"""Rows asked in one statement."""
_BLOCKS = 128
"""Most blocks read in one statement."""
_FEW = 30_000
"""Verdicts that are looked up by their ids; of more, the rows are asked instead."""


class Page(NamedTuple):
    """The `seq` of the rows found, newest first, and the cursor of the page after.

    `looked_to`: the `seq` of the last row looked at, where the bound was reached before the page
    was full; the next page goes on there.
    """

    seqs: list[int]
    following: int | None
    looked_to: int | None


def search(connection: Connection, filters: Filters, cursor: int | None, limit: int) -> Page:
    """At most `limit` rows that are older than the one at `cursor` (a `seq`)."""
    if filters.transaction_id is not None or filters.account is not None:
        return _page(connection.scalars(_indexed(connection, filters, cursor, limit)).all(), limit)
    if filters.verdict in ("fraud", "legitimate") and _few_verdicts(connection):
        held = holding().subquery()
        query = _indexed(connection, filters, cursor, limit).join(
            held, held.c.transaction_id == transactions.c.transaction_id
        )
        wanted = held.c.fraud.is_(filters.verdict == "fraud")
        return _page(connection.scalars(query.where(wanted)).all(), limit)
    return _sifted(connection, filters, cursor, limit)


def _indexed(
    connection: Connection, filters: Filters, cursor: int | None, limit: int
) -> Select[int]:
    query = select(transactions.c.seq).where(*filters.conditions(connection))
    if cursor is not None:
        query = query.where(transactions.c.seq < cursor)
    return query.order_by(transactions.c.seq.desc()).limit(limit + 1)


def _page(seqs: Sequence[int], limit: int) -> Page:
    return Page(list(seqs[:limit]), seqs[limit - 1] if len(seqs) > limit else None, None)


def _few_verdicts(connection: Connection) -> bool:
    some = select(verdicts.c.label_id).limit(_FEW + 1).subquery()
    return (connection.scalar(select(func.count()).select_from(some)) or 0) <= _FEW


def _sifted(connection: Connection, filters: Filters, cursor: int | None, limit: int) -> Page:
    conditions = filters.conditions(connection)
    found: list[int] = []
    looked, fetched, last = 0, 0, cursor
    for rows in _newest_first(connection, filters, cursor):
        looked += len(rows)
        candidates = rows["seq"][filters.sieve(rows)]
        for some in parts(np.unique(candidates)[::-1].tolist(), _AT_ONCE):
            query = select(transactions.c.seq).where(transactions.c.seq.in_(some), *conditions)
            found += connection.scalars(query.order_by(transactions.c.seq.desc())).all()
            fetched, last = fetched + len(some), some[-1]
            if len(found) > limit:
                return _page(found, limit)
            if fetched >= FETCHED:
                return Page(found, last, last)
        last = int(rows["seq"].min())
        if looked >= LOOKED_AT:
            return Page(found, last, last)
    return Page(found, None, None)


def _newest_first(
    connection: Connection, filters: Filters, cursor: int | None
) -> Iterator[packed.Rows]:
    """The rows of blocks that may hold some that are meant; all of one are newer than those of the
    next, and older than the cursor.
    """
    groups = _groups(connection.execute(_ranges(filters, cursor)).all())
    count = 1
    while some := list(islice(groups, count)):
        count = min(2 * count, _BLOCKS)  # a page is often full after the first
        contents = contents_of(connection, [block.first_seq for group in some for block in group])
        for group in some:
            blocks = [
                packed.unpack(contents[b.first_seq]) for b in group if b.first_seq in contents
            ]
            rows = np.concatenate(blocks) if blocks else np.zeros(0, packed.ROW)
            if cursor is not None:
                rows = rows[rows["seq"] < cursor]
            if len(rows):
                yield rows


def _ranges(filters: Filters, cursor: int | None) -> Select[Any]:
    """The blocks that may hold rows that are meant, by what is kept beside their content."""
    table = search_blocks.c
    query = select(table.first_seq, table.last_seq).order_by(table.last_seq.desc())
    if cursor is not None:
        query = query.where(table.first_seq < cursor)
    if filters.since_us is not None:
        query = query.where(table.max_event_us >= filters.since_us)
    if filters.until_us is not None:
        query = query.where(table.min_event_us < filters.until_us)
    if (least := rounded(filters.min_score)) is not None:
        query = query.where(table.max_score >= float(least))
    if (most := rounded(filters.max_score)) is not None:
        query = query.where(table.min_score <= float(most))
    return query


def _groups(blocks: Sequence[Row[Any]]) -> Iterator[list[Row[Any]]]:
    """Blocks that overlap, together; two writers' blocks may."""
    group: list[Row[Any]] = []
    first = 0
    for block in blocks:
        if group and block.last_seq < first:
            yield group
            group = []
        first = min(first, block.first_seq) if group else block.first_seq
        group.append(block)
    if group:
        yield group
