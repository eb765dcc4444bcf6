"""Every stage as a real process on a real Kafka, to be killed and started again."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cli.running.steps import make_topics
from db.migrate import migrate
from model.bundles.promotion import promote
from tests.faults.bundle import card_bundle
from tests.support import eventually
from tidegate.broker.kafka import KafkaBroker
from tidegate.errors import EXIT_CONFIG
from tidegate.host.embedded import EmbeddedKafka, free_port
from tidegate.host.spawn import guarded
from tidegate.pipeline import CONSUMERS
from tidegate.profile import load_profile
from tidegate.settings import Settings

ROOT = Path(__file__).resolve().parents[3]
STAGES = ("ingest", *CONSUMERS)
PROFILE = load_profile("card")


@dataclass
class Cluster:
    """One home folder, one Kafka, one database, and a process for each stage."""

    home: Path
    database: str
    stages: Sequence[str] = STAGES
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    starts: dict[str, int] = field(default_factory=dict)
    environment: dict[str, dict[str, str]] = field(default_factory=dict)
    """Further variables by process."""

    def __post_init__(self) -> None:
        self.home.mkdir(parents=True, exist_ok=True)
        self.kafka = EmbeddedKafka(self.home, free_port())
        folder, self.bundle = card_bundle()
        self.settings = Settings(
            home=self.home,
            db=self.database,
            kafka=self.kafka.address,
            port=free_port(),
            bundles=str(folder),
            topics_file=ROOT / "topics.yaml",
        )
        self.broker = KafkaBroker(self.settings)
        self.url = f"http://127.0.0.1:{self.settings.port}"

    def start(self) -> Cluster:
        self.kafka.start()
        migrate(self.database)
        make_topics(self.settings)
        promote(self.broker, self.bundle.hash, PROFILE.hash.decode(), by="test")
        for name in self.stages:
            self.launch(name)
        return self

    def launch(self, name: str) -> None:
        """Start the process of a stage; what it says goes to a file. `score.2` is one more of
        score.
        """
        self.starts[name] = self.starts.get(name, 0) + 1
        command = [sys.executable, "-m", "cli", "run", name.partition(".")[0]]
        with (self.home / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                guarded(command),
                cwd=ROOT,
                env=self.variables(name),
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
            )

    def variables(self, name: str) -> dict[str, str]:
        """The environment of a process of this name."""
        return {
            **os.environ,
            "TIDEGATE_HOME": str(self.home),
            "TIDEGATE_DB": self.database,
            "TIDEGATE_INSTANCE": name,
            "TIDEGATE_KAFKA": self.kafka.address,
            "TIDEGATE_PORT": str(self.settings.port),
            "TIDEGATE_BUNDLES": self.settings.bundles,
            "TIDEGATE_PROFILE": "card",
            "TIDEGATE_SNAPSHOT_EVERY": "3000",
            **self.environment.get(name, {}),
        }

    def kill(self, name: str) -> None:
        """SIGKILL a process and start it again, as its supervisor would."""
        self.processes[name].kill()
        self.processes[name].wait()
        self.launch(name)

    def tend(self) -> None:
        """Start again what has died by itself. Fails for what says that a restart would not
        help.
        """
        for name, process in self.processes.items():
            code = process.poll()
            assert code != EXIT_CONFIG, self.tail(name)
            if code is not None:
                self.launch(name)

    def tail(self, name: str) -> str:
        """The end of what a process said."""
        return f"{name}: {(self.home / f'{name}.log').read_text(errors='replace')[-3000:]}"

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """A command of the product beside the processes."""
        return subprocess.run(
            [sys.executable, "-m", "cli", *arguments],
            cwd=ROOT,
            env=self.variables("command"),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def stop(self) -> None:
        """SIGTERM to all; fails for one that does not go within 20 s."""
        for process in self.processes.values():
            process.send_signal(signal.SIGTERM)
        for name, process in self.processes.items():
            assert process.wait(20) == 0, self.tail(name)

    def close(self) -> None:
        """Leave nothing behind, whatever the test did."""
        for process in self.processes.values():
            if process.poll() is None:
                process.kill()
                process.wait()
        self.kafka.stop()


class Killer:
    """Kills each stage `times` times at random moments, and the broker once in the middle; tends
    what dies.
    """

    def __init__(self, cluster: Cluster, times: int, seed: int) -> None:
        self._cluster, self._chance = cluster, random.Random(seed)
        self.order = [name for name in cluster.stages for _ in range(times)]
        self._chance.shuffle(self.order)
        self.order.insert(len(self.order) // 2, "kafka")

    def run(self) -> None:
        pause = threading.Event()
        for name in self.order:
            begin, wanted = time.monotonic(), self._chance.uniform(0.2, 2.5)
            while time.monotonic() - begin < wanted:
                pause.wait(0.05)
                self._cluster.tend()
            if name == "kafka":
                self._cluster.kafka.kill()
                pause.wait(self._chance.uniform(0.1, 1.0))
                self._cluster.kafka.start()
            else:
                self._cluster.kill(name)
        eventually(self._all_alive, 30)

    def _all_alive(self) -> bool:
        self._cluster.tend()
        return all(process.poll() is None for process in self._cluster.processes.values())
