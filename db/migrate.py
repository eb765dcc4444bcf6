"""Bringing a database to the newest schema."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.util.exc import CommandError
from sqlalchemy import Connection, text

from db.engine import Database, make_durable, open_database, retrying
from db.grants import grant
from db.lock import beside
from tidegate.errors import Stop

_ADVISORY_LOCK = 0x7469_6465  # "tide"


def migrate(url: str) -> None:
    """Create or upgrade the tables, and grant PostgreSQL's roles what they need of them.

    Any number of processes may do so at once; the second finds nothing left to do. Raises Retry
    when the database is away, Stop when a newer Tidegate has written it.
    """
    database = open_database(url)
    try:
        with retrying(database), _alone(database) as connection:
            _upgrade(connection)
    except CommandError as error:
        raise Stop(
            f"{database.name} has a schema that this version does not know ({error}): "
            "run the newer Tidegate that wrote it, or give this one a database of its own"
        ) from error
    finally:
        database.close()


@contextmanager
def _alone(database: Database) -> Iterator[Connection]:
    """One transaction that no other migration overlaps."""
    if database.file is None:
        with database.engine.begin() as connection:
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _ADVISORY_LOCK})
            make_durable(connection)  # a crash takes rows and offsets back together, not tables
            yield connection
            grant(connection)
        return
    lock = beside(database.file, "migrate")
    lock.acquire(wait=True)
    try:
        _prepare_file(database)
        with database.engine.begin() as connection:
            yield connection
    finally:
        lock.release()


def _prepare_file(database: Database) -> None:
    """Both are stored in the file; the page size only while it is empty.

    Inserting a thousand rows at once took 12.6 us of CPU a row into pages of 4 KiB, SQLite's
    default, 11.1 into pages of 8 and 10.1 into pages of 16; forty at once 28.6, 24.7 and 25.4.
    """
    raw = database.engine.raw_connection()
    try:
        for pragma in ("page_size=16384", "journal_mode=WAL"):
            raw.cursor().execute(f"PRAGMA {pragma}")
    finally:
        raw.close()


def _upgrade(connection: Connection) -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
