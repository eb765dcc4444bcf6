"""The small supervisor behind `tidegate up`: starts, keeps up and drains one process tree."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import FrameType

from tidegate.errors import ConfigError
from tidegate.host.embedded import bindable
from tidegate.host.process import Child

DRAIN_SECONDS = 13.0
"""All is gone this long after the signal, Kafka included; what is slower is killed."""
_KAFKA_SECONDS = 3.0
_STEP_SECONDS = 1.0
"""How long a stage may take before the next one downstream is asked to end as well."""
_FREE_BYTES = 1_000_000_000

Changed = Callable[[Child], None]


class Supervisor:
    """Keeps `children` running until a signal comes.

    Their order is the flow's; the broker, if any, comes first.
    """

    def __init__(self, children: Sequence[Child], broker: Child | None, changed: Changed) -> None:
        self.children = list(children)
        self.broker = broker
        self._changed = changed
        self.stopping = False

    @property
    def all(self) -> list[Child]:
        """Every child, the broker first."""
        return ([self.broker] if self.broker else []) + self.children

    def install_signals(self) -> None:
        """SIGINT, SIGTERM and SIGHUP end `run`, even if a shell started us with SIGINT ignored."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._on_signal)

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self.stopping = True

    def watch(self) -> None:
        """Look at every child once: note ends, start again what is due."""
        now = time.monotonic()
        for child in self.all:
            if child.watch(now):
                self._changed(child)

    def run(self, tick: Callable[[], None]) -> None:
        """Watch until a signal comes; `tick` is called about five times a second."""
        while not self.stopping:
            self.watch()
            tick()
            time.sleep(0.2)

    def drain(self) -> None:
        """End everything: entrances first, then stage by stage down the flow, then the broker."""
        last = time.monotonic() + DRAIN_SECONDS - _KAFKA_SECONDS
        for child in self.children:
            child.ask()
            self._await(child, last)
        for child in self.children:
            child.end(last)
            self._changed(child)
        if self.broker:
            self.broker.ask()
            self.broker.end(time.monotonic() + _KAFKA_SECONDS)
            self._changed(self.broker)

    @staticmethod
    def _await(child: Child, last: float) -> None:
        until = min(last, time.monotonic() + _STEP_SECONDS)
        while not child.ended() and time.monotonic() < until:
            time.sleep(0.02)


@contextlib.contextmanager
def locked(home: Path) -> Iterator[None]:
    """Hold the home folder. Raises ConfigError when another supervisor holds it."""
    path = home / "run" / "up.pid"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise ConfigError(
                f"Tidegate already runs on {home.resolve()} (process {file.read().strip()}): "
                "stop it first, or choose another TIDEGATE_HOME"
            ) from None
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        yield
        file.truncate(0)


def holder(home: Path) -> str:
    """Process id of the supervisor that runs on this home folder, "" when there is none."""
    path = home / "run" / "up.pid"
    if not path.exists():
        return ""
    with path.open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return file.read().strip() or "unknown"
    return ""


def check_ports(ports: dict[str, tuple[str, int]]) -> None:
    """Raises ConfigError for a port that is taken; `ports` maps a setting to host and port."""
    for setting, (host, port) in ports.items():
        for _ in range(10):  # the processes of a killed supervisor take a moment to go
            if bindable(port, host):
                break
            time.sleep(0.1)
        else:
            raise ConfigError(
                f"port {port} of {host} is taken: stop what listens there, or set {setting} to "
                "another"
            )


def check_disk(home: Path) -> None:
    """Raises ConfigError when the disk is (nearly) full: Kafka would stop in the middle."""
    free = shutil.disk_usage(home).free
    if free < _FREE_BYTES:
        raise ConfigError(
            f"only {free / 1e9:.2f} GB free on the disk of {home.resolve()}, at least 1 GB is "
            "needed: "
            "make room, or choose another TIDEGATE_HOME"
        )
