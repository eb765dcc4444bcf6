"""PostgreSQL as Compose has it: a role for each thing to do, TLS, and what no error shows."""

from __future__ import annotations

import logging
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import create_engine, make_url, text
from sqlalchemy.exc import DBAPIError

from db.engine import open_database, retrying
from db.grants import GRANTS, NOTIFY, READ, WRITE
from db.keys import all_keys, create, revoke
from db.migrate import migrate
from db.notify.outbox import Outbox
from db.notify.sink import OutboxSink
from db.schema import metadata
from db.store import Store
from tests.db.scored import NAMES, Writer, batch_of, values
from tests.notify.receivers import ALL_ALERTS, alert, config_of, hook
from tests.postgres import ROOT, Postgres, binaries, new_server
from tidegate.broker.memory.broker import MemoryBroker
from tidegate.broker.records import Position, TopicPartition
from tidegate.clock import now_us
from tidegate.errors import ConfigError, Retry
from tidegate.pipeline import ALERTS, DLQ
from tidegate.stream.stage import Output

pytestmark = pytest.mark.processes
ROLES = ROOT / "deploy/postgres/roles.sql"
PASSWORD = "a-made-up-secret"  # noqa: S105 - what is looked for


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    folder = Path(tempfile.mkdtemp(prefix="tidegate-pg-"))
    made = new_server(folder)
    made.start()
    yield made
    made.stop()
    shutil.rmtree(folder)


def make_roles(server: Postgres, database: str = "postgres") -> None:
    """As Compose's container does when it is new."""
    command = [str(binaries() / "psql"), "-v", "ON_ERROR_STOP=1", "-q", "-f", str(ROLES)]
    where = {"PGHOST": "127.0.0.1", "PGPORT": str(server.port), "PGUSER": "tidegate"}
    passwords = {
        f"POSTGRES_PASSWORD_{role}": PASSWORD for role in ("MIGRATE", "WRITE", "READ", "NOTIFY")
    }
    env = os.environ | where | passwords | {"PGDATABASE": database}
    done = subprocess.run(command, check=False, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def url_of(server: Postgres, role: str, **query: str) -> str:
    url = make_url(server.url).set(username=role, password=PASSWORD, query=query)
    return url.render_as_string(hide_password=False)


@pytest.fixture(scope="module")
def urls(server: Postgres) -> dict[str, str]:
    """By role; the tables are migrated by the role that does so."""
    make_roles(server)
    migrate(url_of(server, "tidegate_migrate"))
    return {role: url_of(server, role) for role in ("tidegate_migrate", WRITE, READ, NOTIFY)}


def allowed(url: str, statement: str) -> bool:
    """By the role's rights alone: what it begins with by itself is put aside."""
    engine = create_engine(url, connect_args={"options": "-c default_transaction_read_only=off"})
    try:
        with engine.connect() as connection:
            connection.execute(text(statement))
    except DBAPIError as error:
        if isinstance(error.orig, psycopg.errors.InsufficientPrivilege):
            return False
        raise
    finally:
        engine.dispose()
    return True


def test_every_table_is_thought_of() -> None:
    assert GRANTS[WRITE].keys() == metadata.tables.keys() | {"alembic_version"}
    assert GRANTS[READ].keys() < GRANTS[WRITE].keys()


def test_each_role_does_its_work(urls: dict[str, str]) -> None:
    writer = Writer(urls[WRITE])
    writer.write(*values(["a", "b"]))
    writer.write(*values(["b", "c"]))
    writer.sink.close()
    store = Store(urls[READ], NAMES, seconds=5)
    assert store.count() == 3
    assert store.get("a") is not None
    assert len(store.list({}, None, 10)[0]) == 3
    assert store.positions()
    store.close()
    create(urls[WRITE], "shop", ["ingest"], now_us())
    revoke(urls[WRITE], "shop", now_us())
    migrate(urls["tidegate_migrate"])
    migrate(urls[WRITE])


def test_the_stage_notify_works_with_its_own_role(urls: dict[str, str], tmp_path: Path) -> None:
    channel = f"channels:\n{hook('hook', 'http://127.0.0.1:1/')}{ALL_ALERTS}"
    config = config_of(tmp_path, channel)
    outbox = Outbox(urls[NOTIFY], config, now_us)
    outbox.begin()
    broker, source = MemoryBroker({ALERTS: 1, DLQ: 1}), TopicPartition(ALERTS, 0)
    sink = OutboxSink(outbox, broker, profile=b"p", clock=now_us, wake=lambda: None)
    assert sink.positions([source]) == {}
    output = Output(rows=[alert(1)])
    sink.write([(batch_of([b"{}"], source), output)], {source: Position(1)})
    message = outbox.claim(config.channels["hook"])
    assert message is not None
    outbox.sent(message.id)
    assert outbox.expire() == 0
    sink.close()
    outbox.close()


def test_and_no_more(urls: dict[str, str]) -> None:
    statements = {
        "SELECT": "SELECT 1 FROM {} LIMIT 1",
        "DELETE": "DELETE FROM {} WHERE false",
        "UPDATE": "UPDATE {0} SET {1} = {1} WHERE false",
        "TRUNCATE": "TRUNCATE {}",
        "ALTER": "ALTER TABLE {} ADD COLUMN more integer",
        "DROP": "DROP TABLE {}",
    }
    asked = 0
    for role, grants in GRANTS.items():
        for table in (*metadata.tables, "alembic_version"):
            columns = metadata.tables[table].columns if table in metadata.tables else ()
            first = next((column.name for column in columns), "version_num")
            for right, statement in statements.items():
                may = right in re.sub(r" \(.*?\)", "", grants.get(table, "")).split(", ")
                assert allowed(urls[role], statement.format(table, first)) == may, (
                    role,
                    table,
                    right,
                )
                asked += 1
        assert not allowed(urls[role], "CREATE TABLE other (x integer)")
    assert asked == len(GRANTS) * (len(metadata.tables) + 1) * len(statements)
    with pytest.raises(DBAPIError, match="permission denied"):
        all_keys(urls[READ])
    assert allowed(urls[READ], "SELECT seq, hash FROM audit"), "what is sealed"
    assert not allowed(urls[READ], "SELECT who FROM audit")


def test_roles_come_to_a_database_from_before_there_were_any(server: Postgres) -> None:
    engine = create_engine(server.url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text("CREATE DATABASE older"))
    engine.dispose()
    older = {
        role: url_of(server, role).replace("/postgres?", "/older?").replace("/postgres", "/older")
        for role in ("tidegate", "tidegate_migrate", WRITE, READ)
    }
    migrate(older["tidegate"])
    before = Writer(older["tidegate"])
    before.write(*values(["a"]))
    before.sink.close()
    assert not allowed(older["tidegate_migrate"], "ALTER TABLE audit ADD COLUMN more integer")
    for _again in range(2):
        make_roles(server, "older")
        migrate(older["tidegate_migrate"])
    after = Writer(older[WRITE], before.broker)
    after.write(*values(["b"]))
    after.sink.close()
    store = Store(older[READ], NAMES)
    assert store.count() == 2
    store.close()


def test_a_read_that_takes_too_long_is_ended(urls: dict[str, str]) -> None:
    database = open_database(urls[READ], "read", 0.2)
    with (
        pytest.raises(Retry, match="statement timeout"),
        retrying(database),
        database.engine.connect() as connection,
    ):
        connection.execute(text("SELECT pg_sleep(30)"))
    database.close()


def test_errors_and_logs_show_neither_password_nor_values(
    urls: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    database = open_database(urls[WRITE])
    with (
        pytest.raises(DBAPIError) as error,
        retrying(database),
        database.engine.connect() as connection,
    ):
        connection.execute(text("SELECT * FROM nowhere WHERE x = :x"), {"x": "4111111111111111"})
    database.close()
    wrong = open_database(urls[WRITE].replace(WRITE, "nobody"), "read")
    with pytest.raises((ConfigError, Retry)) as refused, retrying(wrong), wrong.engine.connect():
        pass
    wrong.close()
    said = str(error.value) + repr(error.value) + str(refused.value) + caplog.text
    assert "4111111111111111" not in said
    assert PASSWORD not in said


def certificate(folder: Path) -> Path:
    """A certificate for 127.0.0.1 that signs itself, and its key beside it."""
    found = folder / "server.crt"
    names = ["-subj", "/CN=tidegate", "-addext", "subjectAltName=IP:127.0.0.1"]
    kind = ["-x509", "-nodes", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    files = ["-keyout", str(folder / "server.key"), "-out", str(found)]
    subprocess.run(["openssl", "req", *kind, *names, *files], check=True, capture_output=True)
    (folder / "server.key").chmod(0o600)
    return found


def connects(url: str) -> str:
    """How the connection is encrypted, "" if it is not. Raises ConfigError."""
    database = open_database(url, "read")
    try:
        with retrying(database), database.engine.connect() as connection:
            query = "SELECT version FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
            return connection.scalar(text(query)) or ""
    finally:
        database.close()


def test_tls_is_what_sslmode_says(server: Postgres, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="does not support SSL"):
        connects(url_of(server, "tidegate", sslmode="require"))
    data = server.folder / "data"
    own = tmp_path / "own.crt"
    own.write_bytes(certificate(data).read_bytes())
    if os.getuid() == 0:
        for name in ("server.crt", "server.key"):
            shutil.chown(data / name, data.stat().st_uid, data.stat().st_gid)
    engine = create_engine(server.url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text("ALTER SYSTEM SET ssl = on"))
        connection.execute(text("SELECT pg_reload_conf()"))
    engine.dispose()
    full = {"sslmode": "verify-full", "sslrootcert": str(own)}
    assert connects(url_of(server, "tidegate", **full)).startswith("TLSv1.")
    assert connects(url_of(server, "tidegate", sslmode="disable")) == ""
    other = tmp_path / "other"
    other.mkdir()
    stranger = certificate(other)
    for wrong, said in (
        (stranger, "certificate verify failed"),
        (tmp_path / "no", "does not exist"),
    ):
        with pytest.raises(ConfigError, match=said):
            connects(url_of(server, "tidegate", **full | {"sslrootcert": str(wrong)}))
    by_name = url_of(server, "tidegate", **full).replace("127.0.0.1", "localhost")
    with pytest.raises(ConfigError, match="does not match host name"):
        connects(by_name)
