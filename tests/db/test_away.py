"""A PostgreSQL that stops and comes back."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from db.engine import is_away
from db.migrate import migrate
from db.store import Store
from tests.db.scored import NAMES, Writer, values
from tests.postgres import Postgres, new_server
from tidegate.errors import Retry

pytestmark = pytest.mark.processes


@pytest.fixture
def server() -> Iterator[Postgres]:
    """A server that this test may stop."""
    folder = Path(tempfile.mkdtemp(prefix="tidegate-pg-"))
    server = new_server(folder)
    server.start()
    yield server
    server.stop()
    shutil.rmtree(folder)


def test_it_is_waited_for_and_nothing_is_lost_or_doubled(server: Postgres) -> None:
    migrate(server.url)
    writer, store = Writer(server.url), Store(server.url, NAMES)
    writer.write(*values(["a"]))
    server.crash()
    for call in (lambda: writer.write(*values(["b"])), writer.assign, store.count):
        with pytest.raises(Retry, match="is away"):
            call()
    server.start()
    writer.assign()  # the crash may have taken the last commits, and their offsets with them
    for name in "ab"[writer.at(0) :]:
        writer.write(*values([name]))
    assert sorted(store.lookup(["a", "b"])) == ["a", "b"]
    assert store.count() == writer.at(0) == 2
    writer.sink.close()
    store.close()


@pytest.mark.parametrize(
    ("error", "away"),
    [
        (psycopg.errors.DiskFull, True),
        (psycopg.errors.AdminShutdown, True),
        (psycopg.errors.DeadlockDetected, True),
        (psycopg.errors.LockNotAvailable, True),
        (psycopg.errors.ReadOnlySqlTransaction, True),
        (psycopg.OperationalError, True),
        (psycopg.errors.ProgramLimitExceeded, False),
        (psycopg.errors.UndefinedTable, False),
        (psycopg.errors.InvalidTextRepresentation, False),
    ],
)
def test_what_passes_by_itself(error: type[psycopg.Error], away: bool) -> None:
    assert is_away(error("told")) is away
