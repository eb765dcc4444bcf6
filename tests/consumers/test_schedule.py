from __future__ import annotations

import logging
import signal
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cli.running.processes import children
from consumers.retraining.schedule import Drifted, attempt, follow, trigger
from tests.support import eventually
from tidegate.errors import ConfigError
from tidegate.messages.heartbeats import Drift, Moved
from tidegate.profile import load_profile
from tidegate.settings import Settings

SATURDAY = datetime(2026, 11, 21, 15, 0, tzinfo=UTC)


class Clock:
    """Moves when it is waited for. Ends after so many runs, each of which takes `minutes`."""

    def __init__(self, runs: int, minutes: float = 0.0) -> None:
        self.time, self.left, self.minutes = SATURDAY, runs, minutes
        self.ran: list[datetime] = []

    def now(self) -> datetime:
        return self.time

    def monotonic(self) -> float:
        return (self.time - SATURDAY).total_seconds()

    def wait(self, seconds: float) -> bool:
        self.time += timedelta(seconds=seconds)
        return not self.left

    def run(self) -> None:
        self.ran.append(self.time)
        self.left -= 1
        self.time += timedelta(minutes=self.minutes)


def ran(cron: str, runs: int, minutes: float = 0.0) -> list[str]:
    clock = Clock(runs, minutes)
    follow(trigger(cron), clock.run, now=clock.now, wait=clock.wait)
    return [f"{time:%a %d %H:%M}" for time in clock.ran]


def test_the_default_is_sunday_at_two() -> None:
    assert ran(Settings.model_fields["retrain_cron"].default, 2) == ["Sun 22 02:00", "Sun 29 02:00"]


@pytest.mark.parametrize(
    ("cron", "expected"),
    [
        ("0 2 * * 0", ["Sun 22 02:00", "Sun 29 02:00"]),
        ("0 2 * * 7", ["Sun 22 02:00", "Sun 29 02:00"]),
        ("30 4 * * 1-2", ["Mon 23 04:30", "Tue 24 04:30"]),
        ("0 0 1 * *", ["Tue 01 00:00", "Fri 01 00:00"]),
        ("0 3 * * */6", ["Sun 22 03:00", "Sat 28 03:00"]),
        ("0 3 * * */2", ["Sun 22 03:00", "Tue 24 03:00"]),
        ("0 3 * * 0-4", ["Sun 22 03:00", "Mon 23 03:00"]),
        ("0 3 * * 5-7", ["Sun 22 03:00", "Fri 27 03:00"]),
        ("0 3 * * sun-tue", ["Sun 22 03:00", "Mon 23 03:00"]),
        ("0 3 * * 1-5/2", ["Mon 23 03:00", "Wed 25 03:00"]),
        ("0 3 25 * 1", ["Mon 23 03:00", "Wed 25 03:00"]),  # day of month or weekday
        ("0 3 25 * *", ["Wed 25 03:00", "Fri 25 03:00"]),
        ("0 3 */2 * 1", ["Mon 23 03:00", "Mon 07 03:00"]),  # a star before both: and
        ("0 0 31 * *", ["Thu 31 00:00", "Sun 31 00:00"]),
        ("0 0 29 2 *", ["Tue 29 00:00", "Sun 29 00:00"]),  # 2028, 2032
        ("*/20 15 * nov sat", ["Sat 21 15:00", "Sat 21 15:20"]),
    ],
)
def test_an_expression_means_what_it_means_to_cron(cron: str, expected: list[str]) -> None:
    assert ran(cron, 2) == expected


def test_it_runs_once_however_quick_and_skips_what_falls_due_meanwhile() -> None:
    assert ran("0 * * * *", 2) == ["Sat 21 15:00", "Sat 21 16:00"]
    assert ran("0 * * * *", 2, minutes=150) == ["Sat 21 15:00", "Sat 21 18:00"]


def test_a_clock_that_was_ahead_for_a_while_does_not_hold_up_the_schedule() -> None:
    clock = Clock(2)
    shifts = iter([timedelta(days=400), timedelta(), timedelta(days=-400)])

    def wait(seconds: float) -> bool:
        clock.time += next(shifts, timedelta())
        return clock.wait(seconds)

    follow(trigger("0 2 * * sun"), clock.run, now=clock.now, wait=wait)
    first, second = clock.ran
    assert first - SATURDAY > timedelta(days=399)
    assert f"{second:%a %d %H:%M}" == "Sun 22 02:00"


def test_a_clock_that_is_set_back_a_little_repeats_no_run() -> None:
    clock = Clock(2)
    shifts = iter([timedelta(), timedelta(hours=-2)])

    def wait(seconds: float) -> bool:
        clock.time += next(shifts, timedelta())
        return clock.wait(seconds)

    follow(trigger("0 16 * * *"), clock.run, now=clock.now, wait=wait)
    assert [f"{time:%a %d %H:%M}" for time in clock.ran] == ["Sat 21 16:00", "Sun 22 16:00"]


def test_drift_runs_it_before_its_time_once_a_day() -> None:
    clock = Clock(4)
    moved = {"derived": 9.0, "input": 0.2}

    def found() -> Drift | None:
        return Drift("b", 900, [Moved("x", kind, psi, 0.1) for kind, psi in moved.items()])  # type: ignore[arg-type]

    def run() -> None:
        clock.run()
        moved["input"] = 0.3 if len(clock.ran) < 3 else 0.2

    early = Drifted(found, 0.25, clock.monotonic)
    follow(trigger("0 2 * * sun"), run, now=clock.now, wait=clock.wait, early=early)
    assert [f"{time:%a %d %H:%M}" for time in clock.ran] == [
        "Sun 22 02:00",
        "Sun 22 02:00",
        "Mon 23 02:00",
        "Sun 29 02:00",
    ]
    assert not Drifted(found, 0.0, clock.monotonic)()
    assert not Drifted(lambda: None, 0.25, clock.monotonic)()


@pytest.mark.parametrize(
    "cron", ["", "0 2 * *", "0 25 * * *", "0 2 * * nun", "0 2 * * 9", "0 0 31 2 *", "0 0 0 2 * *"]
)
def test_a_wrong_expression_names_the_setting(cron: str) -> None:
    with pytest.raises(ConfigError, match="TIDEGATE_RETRAIN_CRON"):
        trigger(cron)


@pytest.mark.processes
@pytest.mark.parametrize(
    ("code", "said"), [(0, "promoted"), (3, "kept"), (65, "bad_data"), (1, "exit code 1")]
)
def test_the_outcome_is_logged(code: int, said: str, caplog: pytest.LogCaptureFixture) -> None:
    failed: list[int] = []
    with caplog.at_level(logging.INFO):
        command = [sys.executable, "-c", f"raise SystemExit({code})"]
        attempt(command, threading.Event(), failed.append)
    assert said in caplog.text
    assert failed == ([1] if code == 1 else [])


@pytest.mark.processes
def test_the_process_waits_for_its_time_and_ends_when_asked(tmp_path: Path) -> None:
    said = tmp_path / "said"
    with said.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "cli", "run", "retrain"],
            stderr=output,
            env={"PATH": "/usr/bin:/bin", "TIDEGATE_HOME": str(tmp_path)},
        )
    eventually(lambda: "next retraining" in said.read_text(), 60)
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 0


def test_up_runs_it_only_when_asked() -> None:
    profile = load_profile("card")
    names = [
        [child.name for child in children(Settings(retrain=on), profile, {}, 0.0)]
        for on in (False, True)
    ]
    assert names[1] == ["retrain", *names[0]]
