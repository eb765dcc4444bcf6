"""A Compose project of the tests' own: its containers, what they say, and what they are done to."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support import ask, eventually
from tidegate.host.embedded import free_port
from tidegate.pipeline import CONSUMERS

ROOT = Path(__file__).resolve().parents[2]


@dataclass
class Stack:
    """`docker compose` with a project name, files, profiles and environment."""

    name: str
    files: Sequence[str] = ("docker-compose.yml",)
    profiles: Sequence[str] = ()
    env: dict[str, str] = field(default_factory=dict)
    _key: str = ""

    def __post_init__(self) -> None:
        self.port, self.prometheus, self.grafana = free_port(), free_port(), free_port()
        ports = {
            "TIDEGATE_PORT": self.port,
            "TIDEGATE_DASHBOARD_PORT": free_port(),
            "PROMETHEUS_PORT": self.prometheus,
            "GRAFANA_PORT": self.grafana,
        }
        self.env = {
            **os.environ,
            "POSTGRES_PASSWORD": "made-up-for-the-test",
            "GRAFANA_PASSWORD": "made-up",
            "TIDEGATE_PROFILE": "handbook",
            "TIDEGATE_SNAPSHOT_EVERY": "1000",
            **{name: str(port) for name, port in ports.items()},
            **self.env,
        }

    def compose(
        self, *arguments: str, stdin: str | None = None, check: bool = True, timeout: float = 600.0
    ) -> str:
        """Its standard output. Fails with what it said."""
        options = [part for file in self.files for part in ("-f", file)]
        options += [part for profile in self.profiles for part in ("--profile", profile)]
        return run(
            "docker",
            "compose",
            "--ansi",
            "never",
            "--progress",
            "quiet",
            "-p",
            self.name,
            *options,
            *arguments,
            env=self.env,
            stdin=stdin,
            check=check,
            timeout=timeout,
        )

    def containers(self, service: str) -> list[str]:
        """Ids of the running ones."""
        return self.compose("ps", "-q", service).split()

    def tools(self, *arguments: str, check: bool = True) -> str:
        """A `tidegate` command in a container of its own."""
        return self.compose(
            "--profile", "tools", "run", "--rm", "--no-deps", "-T", "tools", *arguments, check=check
        )

    def python(self, service: str, script: str, *arguments: str) -> str:
        """A script in a running container of a service."""
        return self.compose("exec", "-T", service, "python", "-", *arguments, stdin=script)

    def sql(self, query: str) -> str:
        return self.compose(
            "exec", "-T", "postgres", "psql", "-U", "tidegate", "-d", "tidegate", "-Atc", query
        ).strip()

    def rows(self) -> int:
        return int(self.sql("SELECT count(*) FROM transactions"))

    def wait_rows(self, count: int, timeout: float) -> None:
        """Wait until so many rows are there. Fails with what the stages said last."""
        try:
            eventually(lambda: self.rows() >= count, timeout, every=0.5)
        except AssertionError as error:
            said = self.compose("ps", "-a") + self.compose(
                "logs", "--tail", "12", *CONSUMERS, check=False
            )
            raise AssertionError(f"{error}: {self.rows()} of {count} rows\n{said}") from error

    def wait_ready(self, timeout: float) -> float:
        """Seconds until the API says that every stage is ready."""
        begin = time.monotonic()
        try:
            eventually(lambda: self.get("/readyz")[0] == 200, timeout, every=0.25)
        except AssertionError as error:
            said = self.compose("ps", "-a") + self.compose("logs", "--tail", "5", check=False)
            raise AssertionError(f"{error}: {self.get('/readyz')}\n{said}") from error
        return time.monotonic() - begin

    def get(self, path: str, port: int = 0) -> tuple[int, Any]:
        """Status (0: nobody answers) and document."""
        return ask("GET", port or self.port, path, None, key="" if port else self.key(path))

    def post(self, path: str, document: object) -> tuple[int, Any]:
        """As `get`; tried again for 60 s while nobody answers or Kafka is away: the ids make it
        safe.
        """
        body, key = json.dumps(document).encode(), self.key(path)

        def posted() -> tuple[int, Any] | None:
            got = ask("POST", self.port, path, body, key=key)
            return got if got[0] not in (0, 429, 503) else None

        answer = eventually(posted, 60)
        assert answer
        return answer

    def key(self, path: str) -> str:
        """The first key, which `setup` has made; empty for what is open."""
        if path.startswith("/v1/") and not self._key:
            read = ("run", "--rm", "--no-deps", "-T", "--entrypoint", "cat", "tools", "/keys/admin")
            self._key = self.compose("--profile", "tools", *read).strip()
        return self._key

    def down(self, *, volumes: bool = False) -> None:
        self.compose(
            "down", "--remove-orphans", "--timeout", "15", *(["--volumes"] if volumes else [])
        )


def run(
    *command: str,
    env: dict[str, str] | None = None,
    stdin: str | None = None,
    check: bool = True,
    timeout: float = 600.0,
) -> str:
    """Standard output of a command. Fails with all that it said."""
    done = subprocess.run(
        command,
        cwd=ROOT,
        env=env,
        input=stdin,
        stdin=None if stdin else subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    assert not check or done.returncode == 0, (
        f"{' '.join(command)}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    )
    return done.stdout


def state(container: str) -> dict[str, Any]:
    """What the engine knows of a container: State, RestartCount, NetworkSettings…"""
    document: dict[str, Any] = json.loads(run("docker", "inspect", container))[0]
    return document


def kill(container: str) -> None:
    """SIGKILL as a crash would: not by `docker kill`, after which the engine would not restart
    it.
    """
    os.kill(int(state(container)["State"]["Pid"]), signal.SIGKILL)


def drain(container: str) -> tuple[float, int]:
    """Seconds from SIGTERM to the end, and the exit code."""
    begin = time.monotonic()
    run("docker", "stop", "-t", "10", container)
    return time.monotonic() - begin, int(state(container)["State"]["ExitCode"])


def addresses(containers: Sequence[str]) -> set[str]:
    """IP addresses in their network."""
    return {
        network["IPAddress"]
        for container in containers
        for network in state(container)["NetworkSettings"]["Networks"].values()
    }


def megabytes(image: str) -> int:
    return round(int(run("docker", "image", "inspect", "-f", "{{.Size}}", image)) / 1e6)
