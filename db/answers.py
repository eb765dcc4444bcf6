"""The first answer to each Idempotency-Key, kept for a day at least."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Any, NamedTuple
from urllib.parse import unquote

import msgspec
from sqlalchemy import Connection, delete, select
from sqlalchemy.dialects import postgresql, sqlite

from db.engine import Database, open_database, parts, retrying
from db.tables import answers

KEPT_US = 86_400_000_000
"""An answer is given again for so long."""
_PAUSE_US = 3_600_000_000
"""Between two looks for answers that are too old."""
_AT_ONCE = 2_000
"""Answers that are read at once."""


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


def naming(database: Database, ids: Collection[str]) -> list[bytes]:
    """The keys of all answers that name one of these transactions, by their address or in them.

    Reads the whole table, so do it outside of a transaction that others wait for.
    """
    wanted, found = frozenset(ids), list[bytes]()
    query = select(answers.c.key, answers.c.location, answers.c.body).order_by(answers.c.key)
    last = b""
    while wanted:
        with database.engine.connect() as connection:
            rows = connection.execute(query.where(answers.c.key > last).limit(_AT_ONCE)).all()
        if not rows:
            break
        last = bytes(rows[-1].key)
        found += [
            bytes(row.key)
            for row in rows
            if not wanted.isdisjoint(_named(row.location, bytes(row.body)))
        ]
    return found


def forget(connection: Connection, keys: Sequence[bytes]) -> None:
    """Delete these answers, in the open transaction."""
    for some in parts(keys):
        connection.execute(delete(answers).where(answers.c.key.in_(some)))


def _named(location: str, body: bytes) -> Iterator[str]:
    """All that may be an id: the end of the address, and every text of the body."""
    yield unquote(location.rpartition("/")[2].removeprefix("transactions?id="))
    yield from _texts(msgspec.json.decode(body or b"null"))


def _texts(value: Any) -> Iterator[str]:  # noqa: ANN401 - any JSON
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)
