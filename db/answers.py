"""The first answer to each Idempotency-Key, kept for a day at least."""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import delete, select
from sqlalchemy.dialects import postgresql, sqlite

from db.engine import open_database, retrying
from db.tables import answers

KEPT_US = 86_400_000_000
"""An answer is given again for so long."""
_PAUSE_US = 3_600_000_000
"""Between two looks for answers that are too old."""


class FirstAnswer(NamedTuple):
    """`request` is a hash of what was asked; `location` is empty where there was none."""

    request: bytes
    status: int
    body: bytes
    location: str


class Answers:
    """By a hash of the key. Safe for many threads; every method raises Retry."""

    def __init__(self, url: str) -> None:
        self._reader, self._writer = open_database(url, "read"), open_database(url)
        self._next_us = 0

    def get(self, key: bytes, now_us: int) -> FirstAnswer | None:
        """The answer that was kept within the last day."""
        query = select(*(answers.c[name] for name in FirstAnswer._fields)).where(
            answers.c.key == key, answers.c.answered_us > now_us - KEPT_US
        )
        with retrying(self._reader), self._reader.engine.connect() as connection:
            row = connection.execute(query).one_or_none()
        if row is None:
            return None
        return FirstAnswer(bytes(row.request), row.status, bytes(row.body), row.location)

    def keep(self, key: bytes, answer: FirstAnswer, now_us: int) -> None:
        """Keep it, unless there is one of the last day already: two may ask at once."""
        insert = postgresql.insert if self._writer.file is None else sqlite.insert
        values = {**answer._asdict(), "answered_us": now_us}
        statement = (
            insert(answers)
            .values(key=key, **values)
            .on_conflict_do_update(
                index_elements=[answers.c.key],
                set_=values,
                where=answers.c.answered_us <= now_us - KEPT_US,
            )
        )
        with retrying(self._writer), self._writer.engine.begin() as connection:
            connection.execute(statement)
            if now_us >= self._next_us:
                old = answers.c.answered_us <= now_us - 2 * KEPT_US
                connection.execute(delete(answers).where(old))
                self._next_us = now_us + _PAUSE_US

    def close(self) -> None:
        self._reader.close()
        self._writer.close()
