"""Trainings that people ask for: one at a time, each a `tidegate` command as a process."""

from __future__ import annotations

import re
import subprocess
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tidegate.host.spawn import guarded, tidegate

_PROGRESS = re.compile(r"^(?:re)?training: (\d+)%, (.+)$", re.MULTILINE)
_BUNDLE = re.compile(r"^bundle (\w+) in ", re.MULTILINE)
_KEPT = 100
"""Jobs that are remembered, the newest ones."""


@dataclass
class Training:
    """One training; what it prints goes to two files beside each other. `label` is for whoever
    asked.
    """

    id: str
    label: str
    log: Path
    code: int | None = None
    cancelled: bool = False
    done: threading.Event = field(default_factory=threading.Event)

    def progress(self) -> tuple[float, str]:
        """The share that is done, and what is done next."""
        steps = _PROGRESS.findall(self._read(".err"))
        share, step = steps[-1] if steps else ("0", "reading")
        return int(share) / 100, step

    @property
    def bundle(self) -> str:
        """What it has trained; "" before it has said so."""
        found = _BUNDLE.search(self.output)
        return found[1] if found else ""

    @property
    def output(self) -> str:
        """What it has told so far."""
        return self._read(".out")

    def last_words(self) -> str:
        """Why it failed."""
        lines = self._read(".err").strip().splitlines()
        return lines[-1] if lines else f"the training ended with exit code {self.code}"

    def _read(self, ending: str) -> str:
        try:
            return self.log.with_suffix(ending).read_text(errors="replace")
        except FileNotFoundError:
            return ""


class Trainings:
    """Thread-safe. `folder` keeps what the trainings print."""

    def __init__(self, folder: Path, new_id: Callable[[], str]) -> None:
        self._folder, self._new_id = folder, new_id
        self._lock = threading.Lock()
        self._jobs: dict[str, Training] = {}
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, label: str, command: str, arguments: Sequence[str] = ()) -> Training | None:
        """Begin `tidegate COMMAND` with these arguments; None while another one runs."""
        with self._lock:
            if any(not job.done.is_set() for job in self._jobs.values()):
                return None
            name = self._new_id()
            job = Training(name, label, self._folder / name)
            self._jobs[name] = job
            self._process = None
            for old in list(self._jobs)[:-_KEPT]:
                del self._jobs[old]
        # by a thread that waits for it: the kernel ends the process together with this thread
        threading.Thread(target=self._run, args=(job, command, arguments), daemon=True).start()
        return job

    def get(self, name: str) -> Training | None:
        """A job of this worker, or None."""
        return self._jobs.get(name)

    def newest(self) -> Training | None:
        """The last one that was begun here."""
        return next(reversed(self._jobs.values()), None)

    def cancel(self) -> None:
        """End the training that runs, at its user's wish."""
        with self._lock:
            job, process = self.newest(), self._process
            if job is None or job.done.is_set():
                return
            job.cancelled = True
        if process is not None:
            process.terminate()

    def close(self) -> None:
        """End the training that runs."""
        if self._process is not None:
            self._process.kill()

    def _run(self, job: Training, command: str, arguments: Sequence[str]) -> None:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with (
                job.log.with_suffix(".out").open("wb") as out,
                job.log.with_suffix(".err").open("wb") as errors,
            ):
                process = subprocess.Popen(  # noqa: S603 - our own command
                    guarded(tidegate(command, *arguments)), stdout=out, stderr=errors
                )
                with self._lock:
                    self._process = process
                    cancelled = job.cancelled
                if cancelled:  # before there was a process to end
                    process.terminate()
                job.code = process.wait()
        finally:
            job.done.set()
