from __future__ import annotations

import subprocess
from pathlib import Path

from tests.support import eventually
from tidegate.host.embedded import EmbeddedKafka, free_port, reachable
from tidegate.host.jars import classpath


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


def test_java_takes_what_warming_up_kept(kafka_server: EmbeddedKafka) -> None:
    java, *options = kafka_server.command()
    strict = [
        java,
        "-XX:AOTMode=on",
        *options[:-1],
        "--version",
    ]  # with `on` Java refuses what does not fit
    done = subprocess.run(strict, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout.split()[:1]) == (0, ["4.3.1"]), done.stdout + done.stderr


def test_the_fixtures_answer(kafka: str, postgres: str) -> None:
    assert reachable(kafka)
    assert postgres.startswith("postgresql+psycopg://")
