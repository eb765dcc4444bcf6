"""The contract suites of the embedded broker and of the tests' PostgreSQL, on the containers'
images.

Run by `make compose-test`. The plain DockerContainer: the ready-made classes expect other vendors'
images.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import pytest
import yaml
from testcontainers.core.config import testcontainers_config
from testcontainers.core.container import DockerContainer

from tests.broker.conftest import Bench, on_kafka
from tests.broker.test_contract import *  # noqa: F403 - the suite
from tests.broker.test_groups import *  # noqa: F403 - the suite
from tests.compose.stack import ROOT
from tests.databases import clean_postgres as clean_postgres
from tests.databases import own_postgres as own_postgres
from tests.databases import postgres_url as postgres_url
from tests.databases import store as store
from tests.databases import store_of_two as store_of_two
from tests.databases import url as url
from tests.databases import writer as writer
from tests.db.test_sink import *  # noqa: F403 - the suite
from tests.db.test_store import *  # noqa: F403 - the suite
from tests.support import eventually
from tidegate.host.embedded import free_port, reachable

SERVICES = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
testcontainers_config.ryuk_disabled = (
    True  # its image cannot be had everywhere; the fixtures stop what they start
)


def container(service: str, **env: object) -> DockerContainer:
    """A service's image with its environment, some of it exchanged."""
    made = DockerContainer(SERVICES[service]["image"])
    for name, value in {**SERVICES[service]["environment"], **env}.items():
        made.with_env(name, str(value))
    return made


@pytest.fixture(scope="session")
def kafka() -> Iterator[str]:
    """HOST:PORT of a Kafka in a container."""
    port = free_port()
    with container(
        "kafka",
        CLUSTER_ID="dGlkZWdhdGUtY29tcG9zZQ",
        KAFKA_LISTENERS=f"PLAINTEXT://:{port},CONTROLLER://:9093",
        KAFKA_ADVERTISED_LISTENERS=f"PLAINTEXT://127.0.0.1:{port}",
    ).with_bind_ports(port, port):
        eventually(lambda: reachable(f"127.0.0.1:{port}"), 60)
        yield f"127.0.0.1:{port}"


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """URL of a PostgreSQL in a container."""
    port = free_port()
    with container("postgres", POSTGRES_PASSWORD="made-up").with_bind_ports(5432, port) as made:  # noqa: S106
        ready = [
            "docker",
            "exec",
            made.get_wrapped_container().id,
            *SERVICES["postgres"]["healthcheck"]["test"][1:],
        ]
        eventually(
            lambda: subprocess.run(ready, check=False, capture_output=True).returncode == 0, 60
        )
        yield f"postgresql+psycopg://tidegate:made-up@127.0.0.1:{port}/tidegate"


@pytest.fixture
def bench(kafka: str) -> Iterator[Bench]:
    made = on_kafka(kafka)
    yield made
    made.close()


@pytest.fixture
def empty(clean_postgres: str) -> str:
    return clean_postgres
