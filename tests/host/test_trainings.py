"""A training that is cancelled before its process has begun."""

from __future__ import annotations

import itertools
import subprocess
import threading
from pathlib import Path

import pytest

from tidegate.host import trainings
from tidegate.host.trainings import Trainings

pytestmark = pytest.mark.processes


def test_cancelled_before_its_process_has_begun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    numbers, begin, asked = itertools.count(), threading.Event(), threading.Event()
    jobs = Trainings(tmp_path, lambda: str(next(numbers)))
    first = jobs.start("first", "--version")
    assert first is not None
    assert first.done.wait(60)

    def late(command: list[str], **options: object) -> object:
        asked.set()
        assert begin.wait(60)
        return started(command, **options)  # type: ignore[call-overload]

    started = subprocess.Popen
    monkeypatch.setattr(trainings, "tidegate", lambda *_: ["sleep", "100"])
    monkeypatch.setattr(trainings.subprocess, "Popen", late)
    second = jobs.start("second", "retrain")
    assert second is not None
    assert asked.wait(60)
    jobs.cancel()
    begin.set()
    assert second.done.wait(60), "it trains on"
    assert second.cancelled
    assert second.code == -15
    assert not first.cancelled
