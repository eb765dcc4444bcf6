"""A running ingest API on a real Kafka and SQLite."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from db.migrate import migrate
from tests.web import Server, make_topics, serving
from tidegate.broker.kafka import KafkaBroker
from tidegate.profile import Profile, load_profile
from tidegate.settings import Settings


@pytest.fixture(scope="session")
def card() -> Profile:
    return load_profile("card")


@pytest.fixture(scope="session")
def broker(kafka: str) -> KafkaBroker:
    """The session's Kafka, with all topics."""
    made = KafkaBroker(Settings(kafka=kafka))
    make_topics(made)
    return made


@pytest.fixture(scope="session")
def database(tmp_path_factory: pytest.TempPathFactory) -> str:
    """URL of a migrated SQLite database: `tidegate.db` in the API's home."""
    url = f"sqlite:///{tmp_path_factory.mktemp('api') / 'tidegate.db'}"
    migrate(url)
    return url


@pytest.fixture(scope="session")
def api(kafka: str, broker: KafkaBroker, database: str) -> Iterator[Server]:
    assert broker.admin.existing()
    with serving(
        "producers.api", kafka, Path(database.removeprefix("sqlite:///")).parent
    ) as server:
        yield server
