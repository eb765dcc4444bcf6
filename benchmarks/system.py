"""A whole Tidegate for measuring: Kafka, PostgreSQL and stages in a folder that is thrown away."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import sqlalchemy as sa
from pydantic import SecretStr

from tests.postgres import Postgres, new_server
from tidegate.broker.kafka import KafkaBroker
from tidegate.broker.tail import Tail
from tidegate.host.embedded import EmbeddedKafka, free_port
from tidegate.host.spawn import guarded
from tidegate.pipeline import CONSUMERS, STATUS, stage_inputs
from tidegate.settings import Settings
from tidegate.status.board import Board

ROOT = Path(__file__).resolve().parent.parent
BROKER = "broker"
"""Kafka's name among the processes of `System.usage`."""


@dataclass(frozen=True)
class Usage:
    """CPU seconds (user and system) and peak resident bytes of one process."""

    cpu: float
    peak: int


@dataclass
class System:
    """Kafka, PostgreSQL and the processes of one profile: `start` what is needed, `close` all."""

    folder: Path
    profile: str = "card"
    kafka: EmbeddedKafka = field(init=False)
    postgres: Postgres = field(init=False)
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.kafka = EmbeddedKafka(self.folder / "broker", free_port(), heap="1g")
        pg_folder = self.folder / "postgres"
        pg_folder.mkdir(parents=True)
        self.folder.chmod(0o755)
        self.folder.parent.chmod(0o755)  # PostgreSQL refuses root: its user must get through
        self.postgres = new_server(pg_folder)
        self.port, self.dashboard_port = free_port(), free_port()

    def start(self) -> None:
        """Start Kafka, and PostgreSQL with commit timestamps (for the latency of a row)."""
        self.kafka.start()
        self.postgres.start()
        engine = sa.create_engine(self.postgres.url, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.execute(sa.text("ALTER SYSTEM SET track_commit_timestamp = on"))
        engine.dispose()
        self.postgres.stop()
        self.postgres.start()

    def settings(self, **more: object) -> Settings:
        """The settings of this system's processes; keywords override."""
        values: dict[str, object] = {
            "home": self.folder / "home",
            "profile": self.profile,
            "kafka": self.kafka.address,
            "port": self.port,
            "dashboard_port": self.dashboard_port,
            "db": self.postgres.url,
            "log_level": "warning",
        }
        return Settings.model_validate(values | more)

    def run(self, name: str, command: list[str], settings: Settings) -> None:
        """Start a process under `name`; its output goes to a log in the folder."""
        logs = self.folder / "logs"
        logs.mkdir(exist_ok=True)
        with (logs / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                guarded(command),
                env={**os.environ, **environment(settings)},
                stdout=log,
                stderr=log,
            )

    def run_stages(self, settings: Settings, stages: tuple[str, ...] = CONSUMERS) -> None:
        """Start each stage as a process and wait until all partitions are assigned and restored."""
        for stage in stages:
            self.run(stage, tidegate("run", stage), settings)
        self.wait_ready(stages)

    def wait_ready(self, stages: tuple[str, ...], timeout: float = 90.0) -> None:
        """Wait for the heartbeats. Raises TimeoutError naming what is missing."""
        broker = KafkaBroker(self.settings())
        inputs = {name: topic for name, topic in stage_inputs(2).items() if name in stages}
        board = Board(broker, inputs)
        tail = Tail(broker, STATUS, board.absorb).start()
        deadline = time.monotonic() + timeout
        while missing := board.missing():
            if time.monotonic() > deadline:
                raise TimeoutError("; ".join(missing) + f"; logs are in {self.folder / 'logs'}")
            time.sleep(0.2)
        tail.close()

    def usage(self) -> dict[str, Usage]:
        """CPU and memory so far of the broker, and of every process that was started here and still
        runs. The database's processes come and go, so it is not among them.
        """
        running = {
            name: process.pid for name, process in self.processes.items() if process.poll() is None
        }
        if self.kafka.pid is not None:
            running[BROKER] = self.kafka.pid
        return {name: usage_of(pid) for name, pid in running.items()}

    def end(self, *names: str) -> None:
        """SIGTERM the named processes (all, without names) and wait for them."""
        chosen = names or tuple(self.processes)
        for name in chosen:
            self.processes[name].terminate()
        for name in chosen:
            self.processes.pop(name).wait(30)

    def close(self) -> None:
        """End everything."""
        self.end()
        self.postgres.stop()
        self.kafka.stop()


def usage_of(pid: int) -> Usage:
    """Of a process and its children (Granian's worker)."""
    family = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    times = [process.cpu_times() for process in family]
    cpu = sum(time_of.user + time_of.system for time_of in times)
    peak = sum(_peak_bytes(process.pid) for process in family)
    return Usage(cpu, peak)


def cores(
    before: Mapping[str, Usage], after: Mapping[str, Usage], seconds: float
) -> dict[str, float]:
    """Cores that each process used between two looks that are so far apart."""
    return {name: (after[name].cpu - before[name].cpu) / seconds for name in before}


def _peak_bytes(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return 0


def tidegate(*arguments: str) -> list[str]:
    """The command line of the installed command."""
    return [str(Path(sys.executable).parent / "tidegate"), *arguments]


def environment(settings: Settings) -> Mapping[str, str]:
    """The settings as variables."""
    return {
        f"TIDEGATE_{name.upper()}": _text(value)
        for name, value in settings.model_dump().items()
        if value is not None
    }


def _text(value: object) -> str:
    return value.get_secret_value() if isinstance(value, SecretStr) else str(value)
