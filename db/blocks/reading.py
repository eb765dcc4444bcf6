"""Reading blocks as they are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import psycopg
from sqlalchemy import Connection, select

from db.blocks.tables import search_blocks

_CONTENTS = "SELECT first_seq, content FROM search_blocks WHERE first_seq = ANY(%s)"


def contents_of(connection: Connection, firsts: Sequence[int]) -> dict[int, bytes]:
    """The contents of the blocks that begin with these numbers and are still there.

    PostgreSQL's as they are: SQLAlchemy would ask for text, two digits a byte.
    """
    if connection.dialect.name == "postgresql":
        driver: psycopg.Connection[Any] = connection.connection.dbapi_connection  # type: ignore[assignment]
        with driver.cursor(binary=True) as cursor:
            cursor.execute(_CONTENTS, (list(firsts),))
            return dict(cursor.fetchall())
    table = search_blocks.c
    query = select(table.first_seq, table.content).where(table.first_seq.in_(firsts))
    return {row.first_seq: row.content for row in connection.execute(query)}
