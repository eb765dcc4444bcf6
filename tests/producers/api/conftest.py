"""A running ingest API on a real Kafka and SQLite."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from db.migrate import migrate
from tests.web import Server, serving
from tidegate.broker.kafka import KafkaBroker
from tidegate.profile import Profile, load_profile


@pytest.fixture(scope="session")
def card() -> Profile:
    return load_profile("card")


@pytest.fixture(scope="session")
def broker(pipeline_topics: KafkaBroker) -> KafkaBroker:
    return pipeline_topics


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
