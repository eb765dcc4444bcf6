"""What people say of groups of dead letters: resolved, with a note, until new letters come."""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import BigInteger, Column, Connection, Table, Text, delete, select

from db.audit import Act, append
from db.engine import open_database, retrying
from db.tables import metadata

letter_groups = Table(
    "letter_groups",
    metadata,
    Column("signature", Text, primary_key=True),  # see tidegate.dead_letters.shape
    Column("note", Text, nullable=False),
    Column("who", Text, nullable=False),
    Column("at_us", BigInteger, nullable=False),
    Column("until_ms", BigInteger, nullable=False),  # of the newest letter that he had seen
)
"""The groups that somebody resolved. One is open again once it has a letter newer than `until_ms`.
"""


class Resolution(NamedTuple):
    """That a group is resolved as far as letters came until `until_ms`."""

    signature: str
    note: str
    who: str
    at_us: int
    until_ms: int


class Resolutions:
    """Reads and writes them, for the results pages. Every method raises Retry and ConfigError."""

    def __init__(self, url: str) -> None:
        self._database, self._reads = open_database(url), open_database(url, "read")

    def all(self) -> dict[str, Resolution]:
        """Those of all groups, by signature."""
        with retrying(self._reads), self._reads.engine.connect() as connection:
            rows = connection.execute(select(letter_groups))
            return {row.signature: Resolution(*row) for row in rows}

    def resolve(self, resolution: Resolution, act: Act) -> None:
        """Set one, in place of an earlier one; the audit is told in the same transaction."""
        with retrying(self._database), self._database.engine.begin() as connection:
            append(connection, act)
            _forget(connection, resolution.signature)
            connection.execute(letter_groups.insert().values(resolution._asdict()))

    def reopen(self, signature: str, act: Act) -> None:
        """Forget one; the audit is told in the same transaction."""
        with retrying(self._database), self._database.engine.begin() as connection:
            append(connection, act)
            _forget(connection, signature)

    def close(self) -> None:
        self._database.close()
        self._reads.close()


def _forget(connection: Connection, signature: str) -> None:
    connection.execute(delete(letter_groups).where(letter_groups.c.signature == signature))
