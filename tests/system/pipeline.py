"""`tidegate up` as its users run it, in a home folder and on ports of its own."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from tests.shared import made_once
from tests.support import ask, eventually
from tidegate.host.embedded import free_port

ROOT = Path(__file__).resolve().parents[2]
_COMPLAINT = re.compile(r'"level":"(warning|error|critical)"| (WARN|ERROR|FATAL) ')
_MOST_COMPLAINTS = 30


def trained_card() -> Path:
    """The folder of bundles with the model that a first start of the card profile trains, made
    once in a run.
    """
    return made_once("card", _train) / "bundles"


def _train(home: Path) -> None:
    env = {**os.environ, "TIDEGATE_HOME": str(home), "TIDEGATE_PROFILE": "card"}
    command = [sys.executable, "-m", "cli", "train"]
    subprocess.run(command, cwd=ROOT, env=env, check=True, capture_output=True)


@dataclass
class Pipeline:
    """One home folder. `start` may be called again after `stop`. Without `bundles` to begin with,
    the first start trains a model.
    """

    home: Path
    profile: str = "card"
    bundles: Path | None = None
    env: dict[str, str] = field(default_factory=dict)
    arguments: tuple[str, ...] = ()
    cwd: Path = ROOT
    process: subprocess.Popen[bytes] | None = None

    def __post_init__(self) -> None:
        self.port = free_port()
        self.env = {
            **os.environ,
            "TIDEGATE_HOME": str(self.home),
            "TIDEGATE_PROFILE": self.profile,
            "TIDEGATE_PORT": str(self.port),
            "TIDEGATE_DASHBOARD_PORT": str(free_port()),
            "TIDEGATE_KAFKA_PORT": str(free_port()),
            **self.env,
        }
        self.output = self.home / "up.txt"

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "cli", *arguments]

    def start(self, timeout: float = 240.0) -> None:
        """Run `tidegate up` until it is ready."""
        self.home.mkdir(parents=True, exist_ok=True)
        if self.bundles and not (self.home / "bundles").exists():
            shutil.copytree(self.bundles, self.home / "bundles")
        with self.output.open("ab") as output:
            self.process = subprocess.Popen(
                self.command("up", *self.arguments),
                cwd=self.cwd,
                env=self.env,
                stdout=output,
                stderr=output,
                stdin=subprocess.DEVNULL,
            )
        try:
            eventually(self._ready_or_dead, timeout)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.output.read_text()[-3000:]}") from error

    def _ready_or_dead(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.output.read_text()[-3000:]
        return self.get("/readyz")[0] == 200

    def processed(self, stage: str) -> int:
        """Records that a stage's processes have dealt with."""
        done = self.run("status", "--json")
        return sum(
            one["processed"]
            for one in json.loads(done.stdout)["processes"]
            if one["stage"] == stage
        )

    def stop(self, number: int = signal.SIGTERM, timeout: float = 15.0) -> int:
        """End it; returns the exit code, and fails when it is not gone in time."""
        assert self.process is not None
        self.process.send_signal(number)
        return self.process.wait(timeout)

    def run(self, *arguments: str, timeout: float = 120.0) -> subprocess.CompletedProcess[str]:
        """Another command beside it."""
        return subprocess.run(
            self.command(*arguments),
            cwd=ROOT,
            env=self.env,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    def pid(self, name: str) -> int:
        """The process behind a name of the table."""
        return int((self.home / "run" / f"{name}.pid").read_text())

    def family(self) -> list[psutil.Process]:
        """All processes below the supervisor."""
        assert self.process is not None
        return psutil.Process(self.process.pid).children(recursive=True)

    def get(self, path: str) -> tuple[int, Any]:
        """Status (0: nobody answers) and document."""
        return self._ask("GET", path, None)

    def post(self, path: str, document: object) -> tuple[int, Any]:
        return self._ask("POST", path, json.dumps(document).encode())

    def _ask(self, method: str, path: str, body: bytes | None) -> tuple[int, Any]:
        return ask(method, self.port, path, body, timeout=15)

    def rows(self) -> int:
        """Rows of the SQLite database."""
        connection = sqlite3.connect(f"file:{self.home / 'tidegate.db'}?mode=ro", uri=True)
        try:
            return int(connection.execute("SELECT count(*) FROM transactions").fetchone()[0])
        finally:
            connection.close()

    def complaints(self) -> str:
        """The latest lines of its logs that are warnings or errors, those of each process."""
        found = []
        for log in sorted((self.home / "log").glob("*.log")):
            lines = log.read_text(errors="replace").splitlines()
            bad = [line for line in lines if _COMPLAINT.search(line)]
            found += [f"{log.stem}: {line[:500]}" for line in bad[-_MOST_COMPLAINTS:]]
        return "\n".join(found)

    def close(self) -> None:
        """Leave nothing behind, whatever the test did."""
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
