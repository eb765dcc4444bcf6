"""The same system on a Kafka and a PostgreSQL that somebody else runs."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from tests.support import eventually
from tests.system.pipeline import Pipeline
from tidegate.host.embedded import EmbeddedKafka, free_port

pytestmark = pytest.mark.processes


@pytest.fixture
def kafka_elsewhere(tmp_path: Path) -> Iterator[str]:
    server = EmbeddedKafka(tmp_path / "elsewhere", free_port())
    server.start()
    yield server.address
    server.stop()


@pytest.fixture
def database(postgres: str) -> str:
    name = f"elsewhere_{uuid.uuid4().hex[:8]}"
    engine = create_engine(postgres, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    engine.dispose()
    return postgres.rpartition("/")[0] + f"/{name}"


def test_a_post_becomes_a_row_of_that_database(
    tmp_path: Path, kafka_elsewhere: str, database: str
) -> None:
    pipeline = Pipeline(
        tmp_path / "home", "wallet", arguments=("--kafka", kafka_elsewhere, "--db", database)
    )
    try:
        pipeline.start()
        status, _ = pipeline.post(
            "/v1/transactions?wait_ms=10000",
            {
                "transaction_id": "w-1",
                "user_id": "u-1",
                "transaction_type": "retiro",
                "amount": 50.0,
                "balance_before": 40.0,
                "balance_after": -10.0,
                "timestamp": "2026-01-31T12:00:00Z",
            },
        )
        assert status == 200
        status, row = eventually(
            lambda: (found := pipeline.get("/v1/transactions/w-1"))[0] == 200 and found, 20
        )
        assert row["features"]["overdraft"] == 10.0
        assert not (pipeline.home / "tidegate.db").exists()
        assert not (pipeline.home / "kafka").exists()
        assert pipeline.stop() == 0
    finally:
        pipeline.close()
    engine = create_engine(database)
    with engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM transactions")).scalar_one() == 1
    engine.dispose()
