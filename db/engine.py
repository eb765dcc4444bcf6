"""Opening a database, and telling "away for a while" from "wrong".

SQLite runs in WAL with `synchronous=NORMAL`. A committed transaction is then in the operating
system's hands, so it survives kill -9 of any process. Power loss may undo the last commits (never
half of one: WAL frames carry checksums), and that loses nothing, because the offsets to read from
are rows of the same database and go back with them: Kafka gives the same records again. `FULL`
would buy only an fsync per batch. PostgreSQL's `synchronous_commit=off` is the same bargain, for
the same reason; only the writer asks for it, other sessions keep the server's setting.

What a session of PostgreSQL needs is set at the beginning of each transaction, and for it alone. A
pooler such as PgBouncer refuses settings at the start of a connection, or drops them in silence,
and hands the session to others between two transactions.
"""

from __future__ import annotations

import re
import sqlite3
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Literal, TypeVar

import psycopg
from sqlalchemy import URL, Connection, Engine, create_engine, event, inspect, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError

from tidegate.errors import ConfigError, Retry

T = TypeVar("T")
_BUSY_MS = 10_000
_SQLITE_AWAY = {
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_CANTOPEN,
}
# SQLSTATE classes: connection, rollback for concurrency, out of resources (disk, connections),
# shutdown, I/O.
_POSTGRES_AWAY = ("08", "40", "53", "57", "58")
_POSTGRES_STATES = {
    "55P03",
    "25P03",
    "25006",
}  # lock timeout, idle too long in a transaction, read-only standby
_SESSION = {
    "connect_timeout": 5,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}
# A writer that hangs while it holds the lock on its offsets must not hold up the one that takes
# over.
_WRITER = (
    "BEGIN; SET LOCAL synchronous_commit = off; SET LOCAL lock_timeout = '10s'; "
    "SET LOCAL idle_in_transaction_session_timeout = '60s'"
)
_READER = "BEGIN READ ONLY; SET LOCAL statement_timeout = {:d}"
# A failed connection carries no SQLSTATE, only what PostgreSQL, PgBouncer or libpq say.
_WRONG = re.compile(
    r"password authentication failed|no password supplied|authentication failed|pg_hba\.conf"
    r"|(database|role) \".*\" does not exist|no such (database|user)|permission denied for database"
    r"|unsupported startup parameter|invalid connection option|invalid URI|invalid \S+ value"
    r"|unrecognized configuration parameter|invalid value for parameter|does not support SSL"
    r"|certificate verify failed|root certificate file .* does not exist|does not match host name"
)
_UNKNOWN_HOST = re.compile(r"failed to resolve host '[^']*': \[Errno -[25]\]")

Access = Literal["write", "read"]


@dataclass(frozen=True, slots=True)
class Database:
    """An engine, and the file when it is SQLite (else None). `reached`: it was connected to."""

    engine: Engine
    file: Path | None
    reached: threading.Event = field(default_factory=threading.Event)

    @property
    def name(self) -> str:
        """The URL without its password, for messages."""
        return self.engine.url.render_as_string(hide_password=True)

    def close(self) -> None:
        self.engine.dispose()


def parse_url(url: str) -> URL:
    """The URL with the driver that is shipped. Raises ConfigError for another database."""
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise ConfigError(
            f"TIDEGATE_DB: {error}; expected sqlite:///FILE or postgresql://USER@HOST/NAME"
        ) from error
    backend = "postgresql" if parsed.drivername == "postgres" else parsed.get_backend_name()
    if backend == "postgresql":
        return parsed.set(drivername="postgresql+psycopg")
    if backend == "sqlite" and parsed.database not in (None, "", ":memory:"):
        return parsed.set(drivername="sqlite+pysqlite")
    raise ConfigError(
        f"TIDEGATE_DB: {parsed.render_as_string()}: expected sqlite:///FILE or postgresql://USER@HOST/NAME"
    )


def open_database(url: str, access: Access = "write", seconds: float = 0.0) -> Database:
    """Open without connecting yet; `read` refuses to change anything, and lets PostgreSQL end a
    statement after so many `seconds` (0: never).

    Errors do not show the parameters of a statement. Raises ConfigError for a wrong URL.
    """
    parsed = parse_url(url)
    if parsed.get_backend_name() == "sqlite":
        engine = create_engine(
            parsed,
            hide_parameters=True,
            connect_args={"timeout": _BUSY_MS / 1000, "check_same_thread": False},
        )
        _prepare_sqlite(engine, access)
        return Database(engine, Path(str(parsed.database)))
    session = {name: value for name, value in _SESSION.items() if name not in parsed.query}
    engine = create_engine(
        parsed,
        hide_parameters=True,
        pool_pre_ping=access == "read",
        # A statement that is prepared in a session is not known to the next that a pooler hands out
        connect_args={**session, "prepare_threshold": None},
    )
    database = Database(engine, None)
    reader = _READER.format(round(1000 * seconds))
    _prepare_postgres(database, _WRITER if access == "write" else reader)
    return database


def _prepare_postgres(database: Database, settings: str) -> None:
    """Begin every transaction with these settings, in one round trip: psycopg's own BEGIN would be
    another.
    """

    @event.listens_for(database.engine, "connect")
    def _connect(connection: psycopg.Connection, _record: object) -> None:
        connection.autocommit = True
        database.reached.set()

    @event.listens_for(database.engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql(settings)


def _prepare_sqlite(engine: Engine, access: Access) -> None:
    """Begin transactions ourselves: pysqlite's own do not start before the first write, and are
    never IMMEDIATE.
    """
    pragmas = [
        f"busy_timeout={_BUSY_MS}",
        "synchronous=NORMAL",
        "cache_size=-65536",
        "wal_autocheckpoint=4000",
    ]
    if access == "read":
        pragmas.append("query_only=ON")
    begin = "BEGIN IMMEDIATE" if access == "write" else "BEGIN"

    @event.listens_for(engine, "connect")
    def _connect(connection: sqlite3.Connection, _record: object) -> None:
        connection.isolation_level = None
        for pragma in pragmas:
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql(begin)


@contextmanager
def retrying(database: Database) -> Iterator[None]:
    """Turn errors that pass by themselves (server away, disk full, locked) into Retry.

    What TIDEGATE_DB says wrongly (password, database, option, host) is a ConfigError. Any other
    error of a driver is a defect, and passes through.
    """
    try:
        yield
    except (DBAPIError, psycopg.Error, sqlite3.Error) as error:
        cause = error.orig if isinstance(error, DBAPIError) else error
        if is_wrong(cause, reached=database.reached.is_set()):
            raise ConfigError(f"TIDEGATE_DB {database.name}: {str(cause).strip()}") from error
        if not is_away(cause):
            raise
        database.engine.dispose()
        raise Retry(f"the database {database.name} is away: {str(cause).strip()}") from error


@contextmanager
def reading(url: str) -> Iterator[Connection]:
    """A connection that changes nothing, closed with its database afterwards. Raises Retry."""
    database = open_database(url, "read")
    try:
        with retrying(database), database.engine.connect() as connection:
            yield connection
    finally:
        database.close()


@contextmanager
def reading_table(url: str, table: str) -> Iterator[Connection | None]:
    """As `reading`; None where there is no such table yet, or no file of SQLite. Raises Retry."""
    parsed = parse_url(url)
    if parsed.get_backend_name() == "sqlite" and not Path(str(parsed.database)).exists():
        yield None
        return
    with reading(url) as connection:
        yield connection if inspect(connection).has_table(table) else None


@contextmanager
def writing(url: str) -> Iterator[Connection]:
    """One transaction, in a database that is closed afterwards. Raises Retry."""
    database = open_database(url)
    try:
        with retrying(database), database.engine.begin() as connection:
            yield connection
    finally:
        database.close()


def parts(values: Iterable[T], most: int = 500) -> Iterator[list[T]]:
    """The values in lists of at most so many, each for one IN list."""
    remaining = iter(values)
    while some := list(islice(remaining, most)):
        yield some


def make_durable(connection: Connection) -> None:
    """Let no crash of the server take back the open transaction, as it may take rows."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("SET LOCAL synchronous_commit = on")


def is_wrong(error: BaseException | None, *, reached: bool) -> bool:
    """Whether the database's URL is at fault. A host that was `reached` before is not unknown: its
    name is gone from the DNS while it restarts.
    """
    if not isinstance(error, psycopg.Error):
        return False
    if error.sqlstate is not None:
        return error.sqlstate.startswith("28") or error.sqlstate == "3D000"
    return bool(_WRONG.search(str(error)) or (not reached and _UNKNOWN_HOST.match(str(error))))


def is_away(error: BaseException | None) -> bool:
    """Whether waiting can mend this error of a driver."""
    if isinstance(error, sqlite3.Error):
        return getattr(error, "sqlite_errorcode", 0) & 0xFF in _SQLITE_AWAY
    if isinstance(error, psycopg.Error):
        if error.sqlstate is None:  # never reached a server, or lost it
            return isinstance(error, (psycopg.OperationalError, psycopg.InterfaceError))
        return error.sqlstate.startswith(_POSTGRES_AWAY) or error.sqlstate in _POSTGRES_STATES
    return False
