"""compose.cluster.yml on a real engine: three brokers, TLS, SCRAM, rights. Run by `make
compose-test`, in order.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from tests.compose.stack import ROOT, Stack, kill, state
from tests.compose.traffic import Traffic, transactions
from tests.support import eventually

pytestmark = pytest.mark.serial

COUNT = 20_000
USERS: dict[str, object] = yaml.safe_load((ROOT / "deploy/cluster/access.yaml").read_text())
FORBIDDEN = """
from tidegate.broker.kafka import KafkaBroker
from tidegate.settings import Settings
producer, said = KafkaBroker(Settings()).producer(), []
producer.produce("transactions.raw", b"k", b"v", said.append)
producer.flush(10)
print(said[0])
"""
BROKEN = """
from tidegate.broker.kafka import KafkaBroker
from tidegate.settings import Settings
producer, said = KafkaBroker(Settings()).producer(), []
producer.produce("transactions.raw", b"k", b"not even JSON", said.append)
producer.flush(10)
assert said == [None], said
"""


@pytest.fixture(scope="module")
def cluster() -> Iterator[Stack]:
    passwords = {
        f"KAFKA_PASSWORD_{user.upper().replace('-', '_')}": f"made-up-{user}" for user in USERS
    }
    made = Stack(
        "tidegate-cluster", files=("docker-compose.yml", "compose.cluster.yml"), env=passwords
    )
    made.compose("build", timeout=1200)
    yield made
    made.down(volumes=True)


def test_twenty_thousand_survive_the_loss_of_a_broker(
    cluster: Stack, summary: dict[str, str]
) -> None:
    begin = time.monotonic()
    cluster.compose("up", "-d", "--no-build")
    cluster.wait_ready(240)
    summary["cluster: first start"] = f"{time.monotonic() - begin:.0f} s"
    begin, traffic = time.monotonic(), Traffic(cluster, transactions(COUNT))
    traffic.start()
    traffic.wait_for(5000)
    broker = cluster.containers("kafka-2")[0]
    kill(broker)
    summary["cluster: killed kafka-2"] = f"after {len(traffic.acknowledged):,} acknowledged"
    acknowledged = traffic.finish()
    cluster.wait_rows(len(acknowledged), 240)
    assert set(cluster.sql("SELECT transaction_id FROM transactions").split("\n")) == acknowledged
    summary["cluster: acknowledged = rows"] = (
        f"{len(acknowledged):,} in {time.monotonic() - begin:.0f} s"
    )
    eventually(lambda: state(broker)["State"]["Running"], 30)


def test_the_topics_have_three_replicas(cluster: Stack) -> None:
    assert "as the list says" in cluster.tools("topics", "check")


def refused(cluster: Stack, name: str, value: str) -> str:
    """What a command says with one setting changed."""
    return cluster.compose(
        "--profile",
        "tools",
        "run",
        "--rm",
        "--no-deps",
        "-T",
        "-e",
        f"{name}={value}",
        "--entrypoint",
        "sh",
        "tools",
        "-c",
        "tidegate topics check 2>&1 || echo exit $?",
        check=False,
    )


def test_a_wrong_password_is_refused_clearly(cluster: Stack) -> None:
    said = refused(cluster, "TIDEGATE_KAFKA_PASSWORD", "wrong")
    assert "exit 78" in said
    assert "TIDEGATE_KAFKA_PASSWORD" in said
    assert "made-up" not in said


def test_a_wrong_ca_is_refused_clearly(cluster: Stack) -> None:
    said = refused(cluster, "TIDEGATE_KAFKA_CA", "/etc/ssl/certs/ca-certificates.crt")
    assert "exit 78" in said
    assert "check tidegate_kafka_ca" in said.lower()


def test_persist_cannot_write_to_raw(cluster: Stack) -> None:
    said = cluster.python("persist", FORBIDDEN)
    assert re.search("authorization failed", said, re.IGNORECASE), said


def test_each_stage_has_a_user(cluster: Stack) -> None:
    profiles = ("--profile", "tools", "--profile", "notify")
    services = set(cluster.compose(*profiles, "config", "--services").split())
    assert set(USERS) <= services


def as_the_page_does(cluster: Stack, *command: str) -> dict[str, Any]:
    """What a command of `tidegate` says as JSON to the dashboard, which starts it with its own
    rights.
    """
    told = cluster.compose("exec", "-T", "dashboard", "tidegate", *command, check=False)
    found: dict[str, Any] = json.loads(told)
    return found


def test_the_page_may_replay_a_decision(cluster: Stack) -> None:
    name = cluster.sql("SELECT transaction_id FROM transactions ORDER BY seq DESC LIMIT 1")
    assert as_the_page_does(cluster, "replay", "--json", "--", name)["same"]


def test_the_page_may_dry_run_a_dead_letter(cluster: Stack) -> None:
    cluster.python("ingest", BROKEN)
    found = eventually(lambda: json.loads(cluster.tools("dead-letters", "--json")), 60, every=1.0)
    place = found[0]["place"]
    judged = as_the_page_does(cluster, "dry-run", "--json", "--", place)
    assert (judged["outcome"], judged["reason"]) == ("fails", "invalid_json")
