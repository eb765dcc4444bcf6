"""How a PostgreSQL is connected to: through a pooler, with options, and with what is wrong."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import psycopg
import pytest
from sqlalchemy import text

from db.engine import open_database, retrying
from db.migrate import migrate
from db.store import Store
from tests.db.scored import NAMES, Writer, values
from tests.postgres import ROOT, Postgres, binaries, new_server
from tests.support import eventually
from tidegate.errors import ConfigError, Retry
from tidegate.host.embedded import free_port
from tidegate.host.spawn import guarded

pytestmark = pytest.mark.processes
_BOUNCER = Path("/usr/sbin/pgbouncer")


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    """A server that lets `secret` in by a password only, and `barred` not at all."""
    folder = Path(tempfile.mkdtemp(prefix="tidegate-pg-"))
    server = new_server(folder)
    server.start()
    try:
        rules = folder / "data" / "pg_hba.conf"
        rules.write_text(
            "host all secret 127.0.0.1/32 scram-sha-256\nhost all barred 127.0.0.1/32 reject\n"
            + rules.read_text()
        )
        with psycopg.connect(server.url.replace("+psycopg", "")) as connection:
            connection.execute("CREATE ROLE secret LOGIN PASSWORD 'right'")
            connection.execute("SELECT pg_reload_conf()")
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder)


@dataclass(frozen=True)
class Bouncer:
    """A PgBouncer before the server; `url` is SQLAlchemy's."""

    url: str


@pytest.fixture(scope="module")
def bouncer(server: Postgres) -> Iterator[Bouncer]:
    """Hands a server's session to another client after each transaction."""
    if not _BOUNCER.exists():
        subprocess.run([ROOT / "scripts" / "test-services"], check=True)
    port = free_port()
    config = server.folder / "pgbouncer.ini"
    config.write_text(
        f"[databases]\n* = host=127.0.0.1 port={server.port} user=tidegate\n"
        f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n"
        "auth_type = any\npool_mode = transaction\ndefault_pool_size = 2\n"
    )
    config.chmod(0o644)
    command = [*server._as_user(["postgres"])[:-1], str(_BOUNCER), str(config)]
    with (server.folder / "pgbouncer.log").open("ab") as log:
        process = subprocess.Popen(guarded(command), stdout=log, stderr=log)
    ready = [str(binaries() / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(port)]
    try:
        eventually(lambda: subprocess.run(ready, check=False).returncode == 0, 20)
        yield Bouncer(f"postgresql+psycopg://tidegate@127.0.0.1:{port}/postgres")
    finally:
        process.kill()
        process.wait(20)


def test_rows_are_written_and_read_through_a_pooler(bouncer: Bouncer) -> None:
    migrate(bouncer.url)
    writer, store = Writer(bouncer.url), Store(bouncer.url, NAMES)
    names = [f"t{at}" for at in range(20)]
    for at, name in enumerate(names):  # often enough that a driver would prepare its statements
        repeated = names[at - 1 : at] if at % 3 == 2 else []  # by way of the staging table
        writer.write(*values([*repeated, name]))
        assert sorted(store.lookup(names[: at + 1])) == sorted(names[: at + 1])
    assert store.count() == len(names)
    writer.sink.close()
    store.close()


def shown(url: str, *settings: str) -> list[str]:
    """Settings of a writer's transaction."""
    database = open_database(url)
    try:
        with database.engine.begin() as connection:
            return [str(connection.scalar(text(f"SHOW {name}"))) for name in settings]
    finally:
        database.close()


def test_a_writer_has_its_settings_behind_a_pooler_and_nobody_else_has_them(
    bouncer: Bouncer,
) -> None:
    ours = ("synchronous_commit", "lock_timeout", "idle_in_transaction_session_timeout")
    assert shown(bouncer.url, *ours) == ["off", "10s", "1min"]
    with psycopg.connect(bouncer.url.replace("+psycopg", ""), prepare_threshold=None) as other:
        found = [other.execute(f"SHOW {name}").fetchone() for name in ours]
    assert found == [("on",), ("0",), ("0",)]
    reader = open_database(bouncer.url, "read")
    with pytest.raises(Retry, match="read-only"), retrying(reader), reader.engine.begin() as once:
        once.execute(text("CREATE TABLE no_reader_makes (x int)"))
    reader.close()


def test_options_of_the_url_are_kept(server: Postgres) -> None:
    url = f"{server.url}?options={quote('-c search_path=elsewhere')}&connect_timeout=3"
    assert shown(url, "search_path", "synchronous_commit") == ["elsewhere", "off"]


@pytest.mark.parametrize(
    ("user", "rest", "words"),
    [
        ("secret:wrong", "/postgres", "password authentication failed"),
        ("secret", "/postgres", "no password supplied"),
        ("barred", "/postgres", "pg_hba.conf rejects"),
        ("nobody_at_all", "/postgres", 'role "nobody_at_all" does not exist'),
        ("tidegate", "/nowhere", 'database "nowhere" does not exist'),
        ("tidegate", "/postgres?nonsense=1", "invalid connection option"),
        ("tidegate", "/postgres?sslmode=require", "does not support SSL"),
        ("tidegate", "/postgres?options=-c%20nonsense%3D1", "unrecognized configuration"),
    ],
)
def test_what_the_url_says_wrongly_is_no_absence(
    server: Postgres, user: str, rest: str, words: str
) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        migrate(f"postgresql://{user}@127.0.0.1:{server.port}{rest}")
    assert "wrong@" not in str(caught.value)
    assert str(caught.value).startswith("TIDEGATE_DB postgresql+psycopg://")


def test_options_that_a_pooler_refuses_are_the_urls_fault(bouncer: Bouncer) -> None:
    with pytest.raises(ConfigError, match="unsupported startup parameter"):
        migrate(f"{bouncer.url}?options=-c%20search_path%3Dx")


def test_a_host_is_unknown_only_before_it_was_reached() -> None:
    unknown = "postgresql://tidegate@no.such.host.invalid/postgres"
    with pytest.raises(ConfigError, match="failed to resolve host"):
        migrate(unknown)
    database = open_database(unknown)
    database.reached.set()
    with pytest.raises(Retry, match="is away"), retrying(database), database.engine.connect():
        pass
    database.close()
