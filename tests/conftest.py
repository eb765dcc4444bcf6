"""The real parts that tests run against, started once in a run. Which tests run when and where is
in `tests.marks`.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import settings

from tests.postgres import new_server
from tests.shared import run_folder, shared_server
from tests.web import make_topics
from tidegate.broker.kafka import KafkaBroker
from tidegate.host.embedded import EmbeddedKafka, free_port
from tidegate.host.warm import warm
from tidegate.settings import Settings

settings.register_profile("tidegate", deadline=None)  # other tests run on the same processors
settings.load_profile("tidegate")
pytest_plugins = [
    "tests.marks",
    "tests.browser",
    "tests.complaints",
    "tests.databases",
    "tests.trained",
    "pytester",
]


@pytest.fixture(autouse=True)
def _settings_of_one_test() -> Iterator[None]:
    """A command called in this process sets variables for the processes that it starts."""
    before = _settings()
    yield
    for name in _settings().keys() - before.keys():
        del os.environ[name]
    os.environ.update(before)


def _settings() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name.startswith("TIDEGATE_")}


@pytest.fixture(scope="session")
def kafka() -> Iterator[str]:
    """HOST:PORT of the run's Kafka, which all workers share. It has no topics: make your own, with
    names of your own. A test that stops a broker starts another one.
    """
    with shared_server("kafka", _kafka) as address:
        yield address


@pytest.fixture(scope="session")
def pipeline_topics(kafka: str) -> KafkaBroker:
    """The run's Kafka with the topics of topics.yaml. The tests that ask for it see each other's
    records: `tests.marks` keeps them in one worker.
    """
    broker = KafkaBroker(Settings(kafka=kafka))
    make_topics(broker)
    return broker


@contextmanager
def _kafka() -> Iterator[str]:
    warm()
    server = EmbeddedKafka(run_folder() / "kafka", free_port())
    server.start()
    yield server.address
    server.stop()


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """SQLAlchemy URL of the run's PostgreSQL, which all workers share: make a database of your
    own.
    """
    with shared_server("postgres", _postgres) as url:
        yield url


@contextmanager
def _postgres() -> Iterator[str]:
    # the run's folder is closed to the server's user
    folder = Path(tempfile.mkdtemp(prefix="tidegate-pg-"))
    server = new_server(folder)
    server.start()
    yield server.url
    server.stop()
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def chromium() -> str:
    """Path of a Chromium for Playwright's `executable_path`."""
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    if not found:
        pytest.fail("no Chromium on this machine: run scripts/test-services as root, or install it")
    return found
