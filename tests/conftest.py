"""The real parts that tests run against, started once in a session."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.postgres import Postgres, new_server
from tidegate.host.embedded import EmbeddedKafka, free_port
from tidegate.host.warm import warm

pytest_plugins = ["tests.databases", "tests.trained"]


@pytest.fixture(scope="session")
def kafka_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedKafka]:
    """A real Apache Kafka of this session's own. Whoever kills it starts it again."""
    warm()
    server = EmbeddedKafka(tmp_path_factory.mktemp("kafka"), free_port())
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def kafka(kafka_server: EmbeddedKafka) -> str:
    """HOST:PORT of the session's Kafka. It has no topics: make your own, with names of your own."""
    return kafka_server.address


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Postgres]:
    """A real PostgreSQL of this session's own."""
    folder = Path(
        tempfile.mkdtemp(prefix="tidegate-pg-")
    )  # pytest's folders are closed to the server's user
    server = new_server(folder)
    server.start()
    yield server
    server.stop()
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def postgres(postgres_server: Postgres) -> str:
    """SQLAlchemy URL of a real PostgreSQL; its one database is shared by the session."""
    return postgres_server.url


@pytest.fixture(scope="session")
def chromium() -> str:
    """Path of a Chromium for Playwright's `executable_path`."""
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    if not found:
        pytest.fail("no Chromium on this machine: run scripts/test-services as root, or install it")
    return found
