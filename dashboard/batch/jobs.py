"""Uploaded files and what becomes of them: a folder each, so that a reload finds them again."""

from __future__ import annotations

import re
import secrets
import shutil
import subprocess
import threading
from pathlib import Path
from typing import Any, Literal, TypeVar

import msgspec

from dashboard.batch.look import Look
from tidegate.clock import now_us
from tidegate.host.spawn import guarded, tidegate

Kind = TypeVar("Kind")
Status = Literal["ready", "running", "done", "failed", "stopped"]
ENDINGS = {".csv": ".csv", ".tsv": ".tsv", ".parquet": ".parquet", ".pq": ".parquet"}
ENDINGS |= dict.fromkeys((".jsonl", ".ndjson"), ".jsonl")
"""What may be uploaded, and under which ending it is kept."""
KEPT = 20
"""Files that are kept, the newest ones; the oldest goes when another one comes."""
_ID = re.compile(r"[0-9a-f]{16}")
_LAST = 4_000


class Busy(Exception):
    """Another file is being sent."""


class Job(msgspec.Struct):
    """One uploaded file. `began_us` is 0 before it is sent for the first time."""

    id: str
    name: str
    owner: str
    ending: str
    size: int
    created_us: int
    began_us: int = 0


class Progress(msgspec.Struct):
    """How far the sending is: `phase` read, posted, settled or results."""

    phase: str = "read"
    done: int = 0
    total: int | None = None


class Jobs:
    """Thread-safe. One file is sent at a time."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._running: tuple[str, subprocess.Popen[bytes]] | None = None
        self._ended: dict[str, int] = {}
        self._stopped: set[str] = set()

    def path(self, job: Job, name: str) -> Path:
        """A file of the job."""
        return self._folder / job.id / name

    def upload(self, job: Job) -> Path:
        """The file as it came."""
        return self.path(job, f"upload{job.ending}")

    def create(self, name: str, owner: str, ending: str) -> Job:
        """A folder for a file that comes; the oldest of others that rest make room."""
        job = Job(secrets.token_hex(8), name, owner, ending, 0, now_us())
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        (self._folder / job.id).mkdir(mode=0o700)
        self.save(job)
        for old in [old for old in self.all() if self.status(old) != "running"][KEPT:]:
            self.delete(old)
        return job

    def save(self, job: Job) -> None:
        """Keep what is known of it."""
        part = self.path(job, "job.part")
        part.write_bytes(msgspec.json.encode(job))
        part.replace(self.path(job, "job.json"))

    def get(self, name: str) -> Job | None:
        """A job, if there is one of that id."""
        if not _ID.fullmatch(name):
            return None
        return _read(self._folder / name / "job.json", Job)

    def all(self) -> list[Job]:
        """All of them, newest first."""
        found = [_read(path, Job) for path in self._folder.glob("*/job.json")]
        return sorted(filter(None, found), key=lambda job: -job.created_us)

    def look(self, job: Job) -> Look | None:
        """What was found before it was sent."""
        return _read(self.path(job, "look.json"), Look)

    def progress(self, job: Job) -> Progress:
        """How far its sending is."""
        return _read(self.path(job, "state.json"), Progress) or Progress()

    def summary(self, job: Job) -> dict[str, Any] | None:
        """The counts of its results."""
        return _read(self.path(job, "summary.json"), dict)

    def status(self, job: Job) -> Status:
        """Where it stands. What ran when this process ended has stopped."""
        with self._lock:
            if self._running and self._running[0] == job.id:
                return "running"
            code = self._ended.get(job.id)
        if self.path(job, "summary.json").exists():
            return "done"
        if not job.began_us:
            return "ready"
        return "stopped" if code is None or job.id in self._stopped else "failed"

    def start(self, job: Job) -> None:
        """Begin to send it, or go on. Raises Busy."""
        with self._lock:
            if self._running:
                raise Busy
            job.began_us = job.began_us or now_us()
            self.save(job)
            self._ended.pop(job.id, None)
            self._stopped.discard(job.id)
            started = threading.Event()
            # by a thread that waits for it: the kernel ends the process together with this thread
            threading.Thread(target=self._run, args=(job, started), daemon=True).start()
            started.wait()

    def _run(self, job: Job, started: threading.Event) -> None:
        command = tidegate(
            "batch", str(self.upload(job)), "--into", str(self._folder / job.id), "--max-refused=1"
        )
        try:
            with self.path(job, "log.txt").open("wb") as log:
                process = subprocess.Popen(  # noqa: S603 - our own command
                    guarded(command), stdin=subprocess.DEVNULL, stdout=log, stderr=log
                )
                self._running = job.id, process
                started.set()
                self._ended[job.id] = process.wait()
        finally:
            started.set()
            with self._lock:
                self._running = None

    def stop(self, job: Job) -> None:
        """End its sending; what was acknowledged stays so."""
        with self._lock:
            if self._running and self._running[0] == job.id:
                self._stopped.add(job.id)
                self._running[1].terminate()

    def last_words(self, job: Job) -> str:
        """What the sending said last, with the file as people know it."""
        try:
            text = self.path(job, "log.txt").read_bytes()[-_LAST:].decode(errors="replace")
        except FileNotFoundError:
            return ""
        return text.replace(str(self.upload(job)), job.name).strip().removeprefix("tidegate: ")

    def delete(self, job: Job) -> None:
        """Forget the file and its results."""
        shutil.rmtree(self._folder / job.id, ignore_errors=True)


def _read(path: Path, kind: type[Kind]) -> Kind | None:
    """A document of the job; None where there is none, or half of one."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except (OSError, msgspec.DecodeError):
        return None
