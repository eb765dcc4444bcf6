"""The schema: from nothing, again, by several at once, and from the future."""

from __future__ import annotations

import subprocess
import sys

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import inspect, text

from db.engine import open_database, parse_url
from db.migrate import migrate
from db.schema import metadata
from tidegate.errors import ConfigError, Retry, Stop


def test_migrations_make_what_the_tables_say(empty: str) -> None:
    migrate(empty)
    migrate(empty)
    database = open_database(empty)
    with database.engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
        indexes = {index["name"] for index in inspect(connection).get_indexes("transactions")}
    database.close()
    assert {"ix_transactions_account", "ix_transactions_flagged"} <= indexes


@pytest.mark.processes
def test_two_processes_at_once(empty: str) -> None:
    command = [
        sys.executable,
        "-c",
        "import sys; from db.migrate import migrate; migrate(sys.argv[1])",
        empty,
    ]
    both = [subprocess.Popen(command) for _ in range(2)]
    assert [process.wait(60) for process in both] == [0, 0]
    migrate(empty)


def test_a_schema_from_the_future_is_refused(url: str) -> None:
    database = open_database(url)
    with database.engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    database.close()
    with pytest.raises(Stop, match="newer Tidegate"):
        migrate(url)


def test_no_server_is_a_retry_without_the_password() -> None:
    with pytest.raises(Retry) as caught:
        migrate("postgresql://me:secret@127.0.0.1:1/none")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("url", ["mysql://x/y", "sqlite://", "sqlite:///:memory:", "nonsense", ""])
def test_other_databases_are_refused(url: str) -> None:
    with pytest.raises(ConfigError, match="expected sqlite:///FILE or postgresql"):
        parse_url(url)


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_any_way_to_write_postgresql(scheme: str) -> None:
    assert parse_url(f"{scheme}://u@h/d").drivername == "postgresql+psycopg"
