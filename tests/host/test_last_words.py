"""The reason that people are told when a process is started again."""

from __future__ import annotations

import logging
import sys
import time
from pathlib import Path

import pytest

from tests.support import eventually
from tidegate.host.embedded import free_port
from tidegate.host.last_words import last_words
from tidegate.host.process import Child
from tidegate.log import JsonFormatter

SERVER = """
from tidegate.errors import ConfigError
from tidegate.host.wsgi import serve

def create_app():
    raise ConfigError("topic status does not exist: run `tidegate topics apply`")

if __name__ == "__main__":
    import server

    serve(server.create_app, "127.0.0.1", {port}, threads=2, drain=1)
"""


def logged(level: int, message: str, error: Exception | None = None) -> str:
    info = (type(error), error, None) if error else None
    record = logging.LogRecord("x", level, __file__, 1, message, None, info)
    return JsonFormatter("score-1").format(record)


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ([], "no word"),
        (["tidegate: wrong profile", "", "[WARNING] Killing worker-1"], "tidegate: wrong profile"),
        (["OSError: taken", "", "Stack backtrace:", "   0: <unknown>"], "OSError: taken"),
        (["tidegate: before", logged(logging.WARNING, "slow")], "tidegate: before"),
        ([logged(logging.ERROR, "stopped", ValueError("bad"))], "stopped: ValueError: bad"),
        ([logged(logging.INFO, "ready")], "no word"),
        (["{not json"], "{not json"),
    ],
)
def test_the_last_line_that_gives_a_reason(lines: list[str], words: str) -> None:
    assert last_words("\n".join(lines)) == words


@pytest.mark.processes
def test_a_servers_reason_is_what_its_worker_said(tmp_path: Path) -> None:
    (tmp_path / "server.py").write_text(SERVER.format(port=free_port()))
    child = Child(
        "ingest", [sys.executable, str(tmp_path / "server.py")], tmp_path, {"PYTHONPATH": "."}
    )
    child.start()
    try:
        eventually(lambda: child.watch(time.monotonic()))
        assert "[ERROR]" in child.log.read_text(), "the server has the last line of the log"
        assert child.cause.endswith("topic status does not exist: run `tidegate topics apply`")
    finally:
        child.end(0.0)


@pytest.mark.processes
def test_an_earlier_run_is_not_the_reason(tmp_path: Path) -> None:
    child = Child("score", [sys.executable, "-c", "import os; os.kill(os.getpid(), 9)"], tmp_path)
    child.log.parent.mkdir(parents=True)
    child.log.write_text("tidegate: an old complaint\n")
    child.start()
    try:
        eventually(lambda: child.watch(time.monotonic()))
        assert child.cause == "SIGKILL: no word"
    finally:
        child.end(0.0)
