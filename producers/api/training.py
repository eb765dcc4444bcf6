"""Trainings that were asked for over HTTP: one at a time, each `tidegate train` as a process."""

from __future__ import annotations

import re
import subprocess
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from producers.api.ids import fresh_id
from tidegate.host.spawn import guarded, tidegate

_PROGRESS = re.compile(r"^training: (\d+)%, (.+)$", re.MULTILINE)
_BUNDLE = re.compile(r"^bundle (\w+) in ", re.MULTILINE)
_KEPT = 100
"""Jobs that are remembered, the newest ones."""


@dataclass
class Job:
    """One training; what it prints goes to two files beside each other."""

    id: str
    model_type: str
    log: Path
    code: int | None = None
    done: threading.Event = field(default_factory=threading.Event)

    def state(self) -> dict[str, Any]:
        """Its progress, and its outcome: the bundle, or why there is none."""
        errors = self._read(".err")
        steps = _PROGRESS.findall(errors)
        share, step = steps[-1] if steps else ("0", "reading")
        state: dict[str, Any] = {"job_id": self.id, "model_type": self.model_type}
        if not self.done.is_set():
            return state | {"status": "running", "progress": int(share) / 100, "message": step}
        bundle = _BUNDLE.search(self._read(".out"))
        if self.code == 0 and bundle:
            return state | {
                "status": "succeeded",
                "progress": 1.0,
                "bundle": bundle[1],
                "message": f"promote it by POST /v1/models/{bundle[1]}/promote",
            }
        lines = errors.strip().splitlines()
        reason = lines[-1] if lines else f"the training ended with exit code {self.code}"
        return state | {"status": "failed", "progress": int(share) / 100, "message": reason}

    def _read(self, ending: str) -> str:
        try:
            return self.log.with_suffix(ending).read_text(errors="replace")
        except FileNotFoundError:
            return ""


class Trainings:
    """Thread-safe. `folder` keeps what the trainings print."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._jobs: dict[str, Job] = {}
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, model_type: str, arguments: Sequence[str]) -> Job | None:
        """Begin `tidegate train` with these arguments; None while another one runs."""
        with self._lock:
            if any(not job.done.is_set() for job in self._jobs.values()):
                return None
            name = fresh_id()
            job = Job(name, model_type, self._folder / name)
            self._jobs[name] = job
            for old in list(self._jobs)[:-_KEPT]:
                del self._jobs[old]
        # by a thread that waits for it: the kernel ends the process together with this thread
        threading.Thread(target=self._run, args=(job, arguments), daemon=True).start()
        return job

    def get(self, name: str) -> Job | None:
        """A job of this worker, or None."""
        return self._jobs.get(name)

    def close(self) -> None:
        """End the training that runs."""
        if self._process is not None:
            self._process.kill()

    def _run(self, job: Job, arguments: Sequence[str]) -> None:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with (
                job.log.with_suffix(".out").open("wb") as out,
                job.log.with_suffix(".err").open("wb") as errors,
            ):
                self._process = subprocess.Popen(  # noqa: S603 - our own command
                    guarded(tidegate("train", *arguments)), stdout=out, stderr=errors
                )
                job.code = self._process.wait()
        finally:
            job.done.set()
