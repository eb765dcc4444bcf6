"""`tidegate up` that cannot start: what it says last, and what it leaves undone."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.running.steps import make_topics
from tests.system.pipeline import ROOT, Pipeline
from tidegate.broker.kafka import KafkaBroker
from tidegate.host.embedded import EmbeddedKafka, free_port
from tidegate.profile import load_profile
from tidegate.settings import Settings

pytestmark = pytest.mark.processes


@pytest.fixture(scope="module")
def kafka_elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    server = EmbeddedKafka(tmp_path_factory.mktemp("elsewhere"), free_port())
    server.start()
    yield server.address
    server.stop()


def up(home: Path, kafka: str, profile: str) -> tuple[int, str]:
    """Exit code, and all that is printed in the order in which a terminal shows it."""
    pipeline = Pipeline(home, profile, env={"TIDEGATE_KAFKA": kafka})
    done = subprocess.run(
        pipeline.command("up"),
        cwd=ROOT,
        env=pipeline.env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        text=True,
        timeout=120,
        check=False,
    )
    return done.returncode, done.stdout


def test_a_first_training_that_fails_ends_with_its_cause(
    tmp_path: Path, kafka_elsewhere: str
) -> None:
    (tmp_path / "payments.csv").write_text("user_id,label\nu-1,1\n")
    profile = tmp_path / "payments.yaml"
    profile.write_text(
        load_profile("card")
        .path.read_text()
        .replace("{simulate: 60000}", f"{{file: {tmp_path}/payments.csv}}")
    )
    code, output = up(tmp_path / "home", kafka_elsewhere, str(profile))
    cause, mend = output.splitlines()[-2:]
    assert code == 78
    assert cause.startswith("tidegate: training the first model failed (exit code 78): ")
    assert "needs the column 'amount'" in cause
    assert mend.startswith("Mend that, then start again. The whole output is in ")
    assert f"{tmp_path}/home/log/train.log" in mend
    assert "needs the column 'amount'" in (tmp_path / "home/log/train.log").read_text()


def test_a_changed_profile_is_refused_before_anything_is_trained(
    tmp_path: Path, kafka_elsewhere: str
) -> None:
    settings = Settings(home=tmp_path / "home", kafka=kafka_elsewhere)
    make_topics(settings)
    producer = KafkaBroker(settings).producer()
    producer.produce("transactions.raw", b"u-1", b"{}", lambda _error: None)
    assert producer.flush(10) == 0
    producer.close()
    settings.home.mkdir()
    (settings.home / "profile").write_text("card 00000000\n")
    code, output = up(settings.home, kafka_elsewhere, "vector")
    assert code == 78
    assert "ran profile card 00000000, now vector" in output.splitlines()[-1]
    assert "transactions.raw: run the old profile until" in output
    assert "training" not in output
    assert not (settings.home / "log/train.log").exists()
