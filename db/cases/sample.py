"""The day's sample: of the approved rows that came in on a day those with the smallest draws."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import ColumnElement, Connection, delete, func, select

from db.cases.outbox import UNDER_WAY
from db.cases.tables import case_notes, case_tags, cases, reviews
from tidegate.profile.spec import DAY


def trim_sample(connection: Connection, most: int, now_us: int, since_us: int | None = None) -> int:
    """Delete the sample's cases beyond so many a day (UTC, by when they came in); how many.

    Looks at the newest two days, or at all since `since_us`. Rows come in all day, so a case may
    leave that was there before; not one that is decided, or that people have begun to work on.
    """
    first = now_us - DAY if since_us is None else since_us
    deleted = 0
    for day in range(first // DAY, now_us // DAY + 1):
        deleted += _trim_day(connection, most, day * DAY, now_us)
    return deleted


def _trim_day(connection: Connection, most: int, day_us: int, now_us: int) -> int:
    table = cases.c
    came_in = table.ingested_us
    within = (table.draw.is_not(None), came_in >= day_us, came_in < day_us + DAY)
    query = select(table.draw).where(*within).order_by(table.draw).limit(1).offset(most)
    limit = connection.scalar(query)
    if limit is None:
        return 0
    wanted = (*within, table.draw >= limit, *_untouched(now_us))
    return connection.execute(delete(cases).where(*wanted)).rowcount


def _untouched(now_us: int) -> Iterator[ColumnElement[bool]]:
    """Cases that are open, and before nobody; of which nobody has said anything."""
    table = cases.c
    yield table.open
    yield table.decided_us.is_(None)
    yield table.assignee.is_(None)
    yield table.claimed_until_us <= now_us
    yield table.snoozed_until_us <= now_us
    yield table.transaction_id.not_in(select(case_notes.c.transaction_id))
    yield table.transaction_id.not_in(select(case_tags.c.transaction_id))
    judged = select(reviews.c.transaction_id).where(reviews.c.state.in_(UNDER_WAY))
    yield table.transaction_id.not_in(judged)


def first_day(connection: Connection) -> int | None:
    """When the oldest case of the sample came in, us; None without any."""
    query = select(func.min(cases.c.ingested_us)).where(cases.c.draw.is_not(None))
    first: int | None = connection.scalar(query)
    return first
