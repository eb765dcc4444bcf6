"""Every test of this folder that asks for `url` runs on both databases."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, event, text

from db.migrate import migrate
from db.store import Store
from tests.db.scored import NAMES, Writer


@pytest.fixture(params=["sqlite", "postgresql"])
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """URL of a database without tables."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'tidegate.db'}"
    return str(request.getfixturevalue("clean_postgres"))


@pytest.fixture(scope="session")
def own_postgres(postgres: str) -> str:
    """A database of this folder's own on the session's server."""
    return new_database(postgres)


def new_database(postgres: str) -> str:
    """URL of one more database of a server, without tables."""
    name = f"t{uuid.uuid4().hex}"
    _run(postgres, f"CREATE DATABASE {name}")
    return postgres.rpartition("/")[0] + f"/{name}"


@pytest.fixture
def clean_postgres(own_postgres: str) -> str:
    """That database without tables."""
    _run(own_postgres, "DROP SCHEMA public CASCADE", "CREATE SCHEMA public")
    return own_postgres


@contextmanager
def statements() -> Iterator[list[tuple[str, Any]]]:
    """Each statement that is executed meanwhile, with its parameters."""
    found: list[tuple[str, Any]] = []

    def keep(_connection: Any, _cursor: Any, *said: Any) -> None:  # noqa: ANN401 - SQLAlchemy's
        found.append((said[0], said[1]))

    event.listen(Engine, "before_cursor_execute", keep)
    try:
        yield found
    finally:
        event.remove(Engine, "before_cursor_execute", keep)


def _run(url: str, *statements: str) -> None:
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        for statement in statements:
            connection.execute(text(statement))
    engine.dispose()


@pytest.fixture
def url(empty: str) -> str:
    """URL of a database with tables."""
    migrate(empty)
    return empty


@pytest.fixture
def writer(url: str) -> Iterator[Writer]:
    """A sink at work."""
    made = Writer(url)
    yield made
    made.sink.close()


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    """A reader of the same database."""
    made = Store(url, NAMES)
    yield made
    made.close()


@pytest.fixture
def postgres_url(clean_postgres: str) -> str:
    """URL of a PostgreSQL database with tables."""
    migrate(clean_postgres)
    return clean_postgres


@pytest.fixture
def store_of_two(postgres_url: str) -> Iterator[tuple[Writer, Writer, Store]]:
    """Two sinks that both believe they own the partitions, and a reader."""
    first = Writer(postgres_url)
    second, store = Writer(postgres_url, first.broker), Store(postgres_url, NAMES)
    yield first, second, store
    for part in (first.sink, second.sink, store):
        part.close()
