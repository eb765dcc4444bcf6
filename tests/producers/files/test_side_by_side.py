"""Two `tidegate send` of one file at a time, as two people or two schedules start them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from producers.simulator.history import simulate_history
from tests.producers.running_api import Api, serve
from tests.support import eventually
from tidegate.pipeline import RAW
from tidegate.profile import Profile, load_profile

pytestmark = pytest.mark.processes
ROWS = 400


def start(api: Api, file: Path, home: Path, *options: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "cli", "send", str(file), "--url", api.url, "--no-wait"]
    return subprocess.Popen(
        [*command, *options],
        env={**os.environ, "TIDEGATE_HOME": str(home)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def posted(api: Api, profile: Profile) -> list[str]:
    return [
        str(profile.id_of(profile.decode(record.value or b"")))
        for _, _, record in api.broker.committed_records(RAW)
    ]


def test_the_second_says_so_and_no_row_is_lost_or_doubled(tmp_path: Path) -> None:
    profile, file = load_profile("card"), tmp_path / "rows.csv"
    simulate_history(profile, ROWS, 4).to_csv(file, index=False)
    with serve(profile, tmp_path) as api:
        first = start(api, file, tmp_path, "--rate", "1")
        try:
            eventually(lambda: api.posts >= 2 or first.poll() is not None, 240)
            _, told = start(api, file, tmp_path).communicate(timeout=240)
            assert f"{file} is being sent to the same Kafka by another process" in told
            assert told.count("\n") == 1, told
        finally:
            first.send_signal(signal.SIGTERM)
            first.communicate(timeout=240)
        before = len(posted(api, profile))
        assert 0 < before < ROWS
        told, _ = start(api, file, tmp_path).communicate(timeout=240)
        assert f"posted {ROWS - before} in" in told
        assert f"{before} rows not posted: acknowledged before" in told
        assert len(posted(api, profile)) == len({*posted(api, profile)}) == ROWS
