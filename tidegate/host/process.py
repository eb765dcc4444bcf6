"""One supervised process: started, watched, started again with backoff, ended."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from tidegate.errors import EXIT_CONFIG
from tidegate.host.last_words import last_words
from tidegate.host.spawn import guarded

Phase = Literal["waiting", "running", "backoff", "refused", "stopped"]
_FIRST_PAUSE, _LONGEST_PAUSE, _STEADY = 0.5, 30.0, 60.0
"""Seconds: before the first restart, before the later ones, and until a process counts as steady
again.
"""


_LAST_BYTES = 20_000
"""Of the log, what is looked through for the reason of an end."""


@dataclass(slots=True)
class Child:
    """A command under a name.

    `gated`: it waits for a line on its standard input before it begins its work.
    """

    name: str
    command: Sequence[str]
    home: Path
    env: Mapping[str, str] = field(default_factory=dict)
    gated: bool = False
    phase: Phase = "waiting"
    restarts: int = 0
    cause: str = ""
    """Why it ended last, empty while it runs."""
    _process: subprocess.Popen[bytes] | None = None
    _since: float = 0.0
    _again: float = 0.0
    _log_start: int = 0
    _pause: float = _FIRST_PAUSE

    @property
    def log(self) -> Path:
        return self.home / "log" / f"{self.name}.log"

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process and self.phase == "running" else None

    @property
    def exit_code(self) -> int | None:
        """How it ended; None while it runs. A signal's number is negative."""
        return self._process.poll() if self._process else None

    def start(self) -> None:
        """Run the command.

        Call it from the main thread: the process dies with the thread that starts it.
        """
        self.log.parent.mkdir(parents=True, exist_ok=True)
        self._rotate()
        with self.log.open("ab") as log:
            self._log_start = log.tell()
            self._process = subprocess.Popen(  # noqa: S603 - our own commands
                guarded(self.command),
                stdin=subprocess.PIPE if self.gated else subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, **self.env, "TIDEGATE_RESTARTS": str(self.restarts)},
            )
        self._since = time.monotonic()
        self.phase, self.cause = "running", ""
        self._pid_file.parent.mkdir(parents=True, exist_ok=True)
        self._pid_file.write_text(f"{self._process.pid}\n")

    def release(self) -> None:
        """Open the gate: the process may begin, and whenever it is started again."""
        self.gated = False
        gate = self._process.stdin if self._process else None
        if gate and not gate.closed:
            with contextlib.suppress(BrokenPipeError):  # it died: `watch` sees it
                gate.write(b"go\n")
                gate.close()

    def watch(self, now: float) -> bool:
        """Note an end, start again when it is time; returns whether the phase changed."""
        if self.phase == "running" and self._process and (code := self._process.poll()) is not None:
            self._ended(code, now)
            return True
        if self.phase == "backoff" and now >= self._again:
            self.restarts += 1
            self.start()
            return True
        return False

    def ask(self) -> None:
        """Ask it to end (SIGTERM)."""
        if self._process and self._process.poll() is None:
            self._process.terminate()
        self.phase = "stopped"

    def ended(self) -> bool:
        """Whether it is not running (any more)."""
        return self._process is None or self._process.poll() is not None

    def end(self, deadline: float) -> None:
        """Wait until `deadline` (monotonic), then kill it and all that it started."""
        if self._process:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(max(0.0, deadline - time.monotonic()))
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        self.phase = "stopped"
        self._pid_file.unlink(missing_ok=True)

    def _ended(self, code: int, now: float) -> None:
        if self._process:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)  # what it left behind
        self.cause = f"{exit_words(code)}: {self.last_words()}"
        if code == EXIT_CONFIG:
            self.phase = "refused"
            return
        if now - self._since > _STEADY:
            self._pause = _FIRST_PAUSE
        self.phase, self._again = "backoff", now + self._pause
        self._pause = min(self._pause * 2, _LONGEST_PAUSE)

    def last_words(self) -> str:
        """What the log of this run says of its end."""
        with self.log.open("rb") as log:
            end = log.seek(0, os.SEEK_END)
            log.seek(max(self._log_start, end - _LAST_BYTES))
            return last_words(log.read().decode(errors="replace"))

    def _rotate(self) -> None:
        if self.log.exists() and self.log.stat().st_size > 20_000_000:
            self.log.replace(self.log.with_suffix(".log.1"))

    @property
    def _pid_file(self) -> Path:
        return self.home / "run" / f"{self.name}.pid"


def exit_words(code: int) -> str:
    """`exit code 1`, or the name of the signal."""
    return f"exit code {code}" if code >= 0 else signal.Signals(-code).name
