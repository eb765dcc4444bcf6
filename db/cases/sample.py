"""The day's sample: of the approved rows that came in on a day those with the smallest draws."""

from __future__ import annotations

from sqlalchemy import Connection, delete, func, select

from db.cases.tables import cases, reviews
from tidegate.profile.spec import DAY


def trim_sample(connection: Connection, most: int, now_us: int, since_us: int | None = None) -> int:
    """Delete the sample's cases beyond so many a day (UTC, by when they came in); how many.

    Looks at the newest two days, or at all since `since_us`. What somebody has before him stays
    for now. Rows come in all day, so a case may leave that was there before.
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
    busy = select(reviews.c.transaction_id).where(reviews.c.state.in_(("held", "leaving")))
    free = table.claimed_until_us <= now_us
    wanted = (*within, table.draw >= limit, free, table.transaction_id.not_in(busy))
    return connection.execute(delete(cases).where(*wanted)).rowcount


def first_day(connection: Connection) -> int | None:
    """When the oldest case of the sample came in, us; None without any."""
    query = select(func.min(cases.c.ingested_us)).where(cases.c.draw.is_not(None))
    first: int | None = connection.scalar(query)
    return first
