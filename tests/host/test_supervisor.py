from __future__ import annotations

import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.support import eventually
from tidegate.errors import ConfigError
from tidegate.host import supervisor as module
from tidegate.host.process import Child
from tidegate.host.supervisor import Supervisor, check_disk, holder, locked

pytestmark = pytest.mark.processes

FOREVER = "import time, sys; print('hello', flush=True); time.sleep(600)"


@pytest.fixture
def children() -> Iterator[list[Child]]:
    made: list[Child] = []
    yield made
    for child in made:
        child.end(0.0)


def child(
    children: list[Child], home: Path, code: str, *, name: str = "worker", gated: bool = False
) -> Child:
    children.append(Child(name, [sys.executable, "-c", code], home, gated=gated))
    return children[-1]


def watched(one: Child, phase: str) -> bool:
    one.watch(time.monotonic())
    return one.phase == phase


def test_a_process_that_dies_is_started_again_with_growing_pauses(
    tmp_path: Path, children: list[Child]
) -> None:
    worker = child(children, tmp_path, "import sys; sys.exit('no luck')")
    worker.start()
    eventually(lambda: watched(worker, "backoff"))
    assert worker.cause == "exit code 1: no luck"
    first = worker._again - time.monotonic()
    eventually(lambda: watched(worker, "backoff") and worker.restarts == 1)
    assert first < 0.6 < worker._again - time.monotonic() < 1.1


def test_exit_code_78_is_not_started_again(tmp_path: Path, children: list[Child]) -> None:
    worker = child(
        children, tmp_path, "import sys; print('wrong profile', file=sys.stderr); sys.exit(78)"
    )
    worker.start()
    eventually(lambda: watched(worker, "refused"))
    assert worker.cause == "exit code 78: wrong profile"
    assert not worker.watch(time.monotonic() + 100)


HANGS = """
import time
from tidegate.stream.pulse import Pulse
pulse = Pulse(guards=True, hung_seconds=0.5)
for _ in range(3):
    pulse.beat()
    time.sleep(0.1)
def a_loop_that_hangs():
    time.sleep(600)
a_loop_that_hangs()
"""
ENDS = """
import time
from tidegate.stream.pulse import Pulse
pulse = Pulse(guards=True, hung_seconds=0.3)
pulse.end()
time.sleep(0.6)
raise SystemExit("ended by itself")
"""


def test_a_process_whose_loop_hangs_is_started_again(tmp_path: Path, children: list[Child]) -> None:
    worker = child(children, tmp_path, HANGS)
    worker.start()
    eventually(lambda: watched(worker, "backoff"))
    stood_still = "its loop stood still for 0:00:00.500000; where, say the stacks in its log"
    assert worker.cause == f"exit code 1: {stood_still}"
    assert "in a_loop_that_hangs" in worker.log.read_text()
    eventually(lambda: watched(worker, "running"))
    assert worker.restarts == 1


def test_a_loop_that_has_ended_is_not_guarded(tmp_path: Path, children: list[Child]) -> None:
    worker = child(children, tmp_path, ENDS)
    worker.start()
    eventually(lambda: watched(worker, "backoff"))
    assert worker.cause == "exit code 1: ended by itself"


def test_a_gated_process_waits_for_its_release(tmp_path: Path, children: list[Child]) -> None:
    worker = child(children, tmp_path, "import sys; sys.stdin.readline(); sys.exit(78)", gated=True)
    worker.start()
    assert not worker.watch(time.monotonic())
    worker.release()
    eventually(lambda: watched(worker, "refused"))


def test_draining_ends_all_and_kills_what_does_not_listen(
    tmp_path: Path, children: list[Child], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "DRAIN_SECONDS", 4.0)
    deaf = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); " + FOREVER
    workers = [
        child(children, tmp_path, FOREVER, name="polite"),
        child(children, tmp_path, deaf, name="deaf"),
    ]
    for worker in workers:
        worker.start()
        eventually(lambda worker=worker: "hello" in worker.log.read_text())
    family = [psutil.Process(worker.pid or 0) for worker in workers]
    begin = time.monotonic()
    Supervisor(workers, None, lambda _child: None).drain()
    assert time.monotonic() - begin < 5
    assert not any(member.is_running() for member in family)
    assert not list((tmp_path / "run").iterdir())


def test_signals_end_the_watch() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
    watcher = Supervisor([], None, lambda _child: None)
    watcher.install_signals()
    watcher.run(lambda: signal.raise_signal(signal.SIGINT))
    assert watcher.stopping
    for number, handler in zip((signal.SIGINT, signal.SIGTERM, signal.SIGHUP), before, strict=True):
        signal.signal(number, handler)


def test_one_supervisor_holds_a_home(tmp_path: Path) -> None:
    assert holder(tmp_path) == ""
    with locked(tmp_path):
        assert holder(tmp_path).isdecimal()
        with pytest.raises(ConfigError, match="already runs"), locked(tmp_path):
            pass
    assert holder(tmp_path) == ""


def test_a_full_disk_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    check_disk(tmp_path)
    monkeypatch.setattr(module, "_FREE_BYTES", 1 << 60)
    with pytest.raises(ConfigError, match="make room"):
        check_disk(tmp_path)
