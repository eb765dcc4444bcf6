"""A running dashboard on a real Kafka, and on SQLite or PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from db.migrate import migrate
from tests.databases import new_database
from tests.web import Server, persist, produce, scored, serving, transaction
from tidegate.broker.kafka import KafkaBroker
from tidegate.pipeline import SCORED
from tidegate.profile import Profile, load_profile

REASONS: list[dict[str, object]] = [
    {
        "feature": "user_amount_zscore",
        "value": 6.2,
        "contribution": 2.31,
        "text": "",
        "pass_at_most": 3.5,
    },
    {"feature": "merchant_fraud_rate_30d", "value": None, "contribution": 1.1, "text": ""},
]


@dataclass(slots=True)
class Site:
    """The dashboard, and the way to make transactions appear in it."""

    server: Server
    broker: KafkaBroker
    profile: Profile
    database: str

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.port}"

    def arrive(
        self,
        transaction_id: str,
        decision: str,
        *,
        live: bool = True,
        merchant: str = "Corner Shop",
    ) -> None:
        """A transaction is scored and persisted; without `live` it is history."""
        body = transaction(transaction_id, merchant=merchant)
        score = {"approve": 0.03, "review": 0.61, "block": 0.97}[decision]
        frame = scored(
            self.profile, body, decision, score, REASONS if decision != "approve" else []
        )
        persist(self.database, self.broker, self.profile, [frame])
        if live:
            produce(self.broker, SCORED, frame)


@contextmanager
def opened(kafka: str, broker: KafkaBroker, home: Path, database: str) -> Iterator[Site]:
    """A site on a database that has no tables yet."""
    migrate(database)
    with serving("dashboard", kafka, home, database=database) as server:
        yield Site(server, broker, load_profile("card"), database)


@pytest.fixture(scope="session")
def site(
    kafka: str, pipeline_topics: KafkaBroker, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    home = tmp_path_factory.mktemp("dashboard")
    with opened(kafka, pipeline_topics, home, f"sqlite:///{home / 'tidegate.db'}") as made:
        yield made


@pytest.fixture(scope="module")
def site_on_postgres(
    kafka: str,
    pipeline_topics: KafkaBroker,
    postgres: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Site]:
    home = tmp_path_factory.mktemp("on-postgres")
    with opened(kafka, pipeline_topics, home, new_database(postgres)) as made:
        yield made
