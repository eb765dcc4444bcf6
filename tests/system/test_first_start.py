"""A first `tidegate up` that does not come to its end."""

from __future__ import annotations

import contextlib
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.support import eventually
from tests.system.pipeline import Pipeline
from tidegate.profile import load_profile


@pytest.fixture
def pipeline(tmp_path: Path) -> Iterator[Pipeline]:
    made = Pipeline(tmp_path / "home")
    yield made
    made.close()


def begin(pipeline: Pipeline) -> subprocess.Popen[bytes]:
    """`tidegate up`, without waiting for it."""
    pipeline.home.mkdir(parents=True)
    with pipeline.output.open("ab") as output:
        pipeline.process = subprocess.Popen(
            pipeline.command("up"), cwd=pipeline.cwd, env=pipeline.env, stdout=output, stderr=output
        )
    return pipeline.process


def running(pipeline: Pipeline, what: str) -> bool:
    """Whether a process below the supervisor has this in its command line."""
    for process in pipeline.family():
        with contextlib.suppress(psutil.Error):  # one that has just ended
            if what in " ".join(process.cmdline()):
                return True
    return False


def test_a_signal_while_the_first_model_trains_ends_everything(pipeline: Pipeline) -> None:
    up = begin(pipeline)
    eventually(lambda: running(pipeline, "kafka.Kafka") and running(pipeline, "cli train"), 60)
    family = pipeline.family()
    up.send_signal(signal.SIGINT)
    assert up.wait(60) == 0
    assert psutil.wait_procs(family, 5)[1] == []
    assert "ready" not in pipeline.output.read_text()


def test_a_training_that_fails_leaves_no_broker(pipeline: Pipeline, tmp_path: Path) -> None:
    card = load_profile("card").path.read_text()
    profile = tmp_path / "card.yaml"
    profile.write_text(card.replace("history: {simulate: 60000}", "history: {file: none.csv}"))
    pipeline.env["TIDEGATE_PROFILE"] = str(profile)
    up = begin(pipeline)
    assert up.wait(240) == 78
    output = pipeline.output.read_text()
    assert f"there is no file {tmp_path / 'none.csv'}" in output
    assert "training the first model failed (exit code 78)" in output
    assert alive(pipeline) == []


def alive(pipeline: Pipeline) -> list[int]:
    """The processes that the home folder names and that are still there."""
    notes = (pipeline.home / "run").glob("*.pid")
    return [pid for note in notes if (pid := int(note.read_text() or 0)) and psutil.pid_exists(pid)]
