from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient, ConfigResource

from tests.support import eventually
from tidegate.host.embedded import EmbeddedKafka, free_port, reachable
from tidegate.host.jars import classpath


@pytest.mark.processes
def test_a_broker_survives_a_kill_and_starts_again_at_once(tmp_path: Path) -> None:
    broker = EmbeddedKafka(tmp_path, free_port(), heap="256m")
    broker.start()
    identity = (tmp_path / "kafka" / "meta.properties").read_text()
    broker.kill()
    assert not broker.reachable()
    broker.start()
    assert broker.reachable()
    assert (tmp_path / "kafka" / "meta.properties").read_text() == identity
    broker.stop()
    eventually(lambda: not reachable(broker.address), 5)


def test_the_class_path_is_remembered() -> None:
    assert "kafka_2.13-4.3.1.jar" in classpath()
    assert classpath() == classpath()


@pytest.mark.usefixtures("kafka")  # warms up
def test_java_takes_what_warming_up_kept(tmp_path: Path) -> None:
    java, *options = EmbeddedKafka(tmp_path, free_port()).java()
    strict = [
        java,
        "-XX:AOTMode=on",
        *options[:-1],
        "--version",
    ]  # with `on` Java refuses what does not fit
    done = subprocess.run(strict, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout.split()[:1]) == (0, ["4.3.1"]), done.stdout + done.stderr


def test_it_looks_whether_a_transaction_is_open(kafka: str) -> None:
    """Otherwise positions that come late may belong to none, and hold up their group for ever."""
    admin, broker = AdminClient({"bootstrap.servers": kafka}), ConfigResource("broker", "1")
    settings = admin.describe_configs([broker])[broker].result(10)
    assert settings["transaction.partition.verification.enable"].value == "true"


def test_the_fixtures_answer(kafka: str, postgres: str) -> None:
    assert reachable(kafka)
    assert postgres.startswith("postgresql+psycopg://")
