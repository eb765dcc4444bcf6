"""What each fault of a schedule does to a running cluster."""

from __future__ import annotations

import heapq
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from itertools import count
from pathlib import Path

import confluent_kafka as ck

from tests.chaos.evidence import committed, held
from tests.chaos.load import Burst, Load
from tests.chaos.retention import STAGE as RETAINED
from tests.chaos.retention import Retention
from tests.chaos.schedule import Fault
from tests.faults.kill9.cluster import ROOT, Cluster
from tests.postgres import Postgres
from tidegate.pipeline import RAW

Say = Callable[[str], None]
_FILE_LIMIT = 200_000
"""Bytes of a file while the disk is full: less than any snapshot."""
_LOOK_AGAIN, _PATIENCE = 3.0, 240.0
"""Seconds between two looks at what is held, and after the load's time until nobody looks."""
_CLEAN, _START = 60.0, 180.0
"""Seconds for the broker to end or to begin, several runs side by side."""


class Faults:
    """Runs a schedule on a cluster in the calling thread, which the processes die with."""

    def __init__(
        self,
        cluster: Cluster,
        load: Load,
        postgres: Postgres | None,
        retention: Retention,
        say: Say,
    ) -> None:
        self._cluster, self._load, self._postgres, self._say = cluster, load, postgres, say
        self._retention = retention
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._number = count()
        self._begin = self._until = 0.0
        self._extra = count(1)
        self._not_healed: set[str] = set()
        self.bursts: list[Burst] = []

    def run(self, schedule: Sequence[Fault], seconds: float) -> None:
        """Until the load fails, or all is over and healed."""
        self._begin, self._until, pause = time.monotonic(), seconds, threading.Event()
        for fault in schedule:
            self._later(fault.at, lambda fault=fault: self._start(fault))
        while self._due or self._elapsed() < seconds:
            while self._due and self._due[0][0] <= self._elapsed():
                self._act(heapq.heappop(self._due)[2])
            self._cluster.tend()
            if self._load.error is not None:
                return
            pause.wait(0.1)

    def _act(self, action: Callable[[], None]) -> None:
        """What takes long itself (a command of the product) puts off all that is due, so that
        faults do not come all at once.
        """
        began = time.monotonic()
        action()
        self._begin += time.monotonic() - began

    def _elapsed(self) -> float:
        return time.monotonic() - self._begin

    def _later(self, at: float, action: Callable[[], None]) -> None:
        heapq.heappush(self._due, (at, next(self._number), action))

    def _start(self, fault: Fault) -> None:
        if self._impossible(fault):
            self._say(f"left out {fault}")
            return
        if self._waits(fault):
            self._later(self._elapsed() + 1, lambda: self._start(fault))
            return
        self._say(f"fault  {fault}")
        begin = getattr(self, "_begin_" + fault.kind.replace(" ", "_"))
        if heal := begin(fault.target):
            self._not_healed.add(fault.kind)
            self._later(self._elapsed() + fault.seconds, lambda: self._heal(fault, heal))

    def _heal(self, fault: Fault, heal: Callable[[], None]) -> None:
        heal()
        self._not_healed.remove(fault.kind)

    def _waits(self, fault: Fault) -> bool:
        """A database that is held cannot be held again, by the same thread least of all."""
        if fault.kind == "burst" and not self._cluster.kafka.reachable():
            return True
        return fault.kind in self._not_healed

    def _impossible(self, fault: Fault) -> bool:
        """The stage is stopped, or without snapshots nobody could know its state any more."""
        if fault.kind == "snapshots lost":
            return self._retention.stopped or bool(self._retention.deleted)
        return self._retention.stopped and fault.target.split()[0] == RETAINED

    def _begin_retention(self, _target: str) -> Callable[[], None]:
        self._retention.stop()
        return self._overrun

    def _overrun(self) -> None:
        try:
            if self._cluster.kafka.reachable():
                self._retention.overrun()
        except ck.KafkaException as error:
            self._say(f"retention waits: {error}")
        self._later(self._elapsed() + 1, self._overrun if self._retention.stopped else self._accept)

    def _accept(self) -> None:
        if self._cluster.kafka.reachable():
            for line in self._retention.accept():
                self._say(line)
        if self._retention.open:
            self._look_later(self._accept)

    def _look_later(self, action: Callable[[], None]) -> None:
        """Not for ever: what never comes is for the checks to say."""
        if self._elapsed() < self._until + _PATIENCE:
            self._later(self._elapsed() + _LOOK_AGAIN, action)

    def _begin_kill(self, target: str) -> None:
        self._cluster.kill(target)

    def _begin_pause(self, target: str) -> Callable[[], None]:
        process = self._cluster.processes[target]
        process.send_signal(signal.SIGSTOP)
        return lambda: process.send_signal(signal.SIGCONT)

    def _begin_broker(self, how: str) -> Callable[[], None]:
        """Not a kill once records were deleted: Kafka writes down only once a minute where its logs
        begin, so they would be back, and states restored after that would have them.
        """
        kafka = self._cluster.kafka
        if how == "kill" and not self._retention.deleted:
            kafka.kill()
        else:
            kafka.stop(_CLEAN)
        return lambda: kafka.start(_START)

    def _begin_database(self, _target: str) -> Callable[[], None]:
        if self._postgres is not None:
            self._postgres.crash()
            return self._postgres.start
        path = Path(self._cluster.database.removeprefix("sqlite:///"))
        holder = sqlite3.connect(path, timeout=30, isolation_level=None)
        holder.execute("BEGIN EXCLUSIVE")
        return holder.close

    def _begin_snapshots_lost(self, _target: str) -> None:
        shutil.rmtree(self._cluster.home / "snapshots", ignore_errors=True)

    def _begin_disk_full(self, target: str) -> Callable[[], None]:
        """A file may not grow beyond a limit: a snapshot breaks off in the middle."""
        process = self._cluster.processes[target]
        unlimited = resource.RLIM_INFINITY
        if process.poll() is None:
            resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (_FILE_LIMIT, unlimited))

        def heal() -> None:
            if process.poll() is None:
                resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (unlimited, unlimited))

        return heal

    def _begin_clock(self, target: str) -> Callable[[], None]:
        """The process begins anew with another wall clock."""
        stage, shift = target.split()
        self._cluster.environment[stage] = shifted(shift)
        self._cluster.kill(stage)

        def heal() -> None:
            self._cluster.environment.pop(stage, None)
            if stage in self._cluster.processes:
                self._cluster.kill(stage)

        return heal

    def _begin_rebalance(self, stage: str) -> Callable[[], None]:
        """Two more consumers come, one after the other, and leave: one says so, one does not."""
        names = [f"{stage}.{next(self._extra)}" for _ in range(2)]
        for name in names:
            self._cluster.launch(name)
        return lambda: self._leave(names)

    def _leave(self, names: list[str]) -> None:
        for name in names:
            process = self._cluster.processes.pop(name, None)
            if process is None:  # stopped with all of its stage
                continue
            process.send_signal(signal.SIGKILL if name == names[0] else signal.SIGTERM)
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _begin_burst(self, _target: str) -> Callable[[], None]:
        self.bursts.append(self._load.burst())
        return self._look

    def _look(self) -> None:
        """What an operator does: see which partitions are held, and order to skip their poison."""
        if self.bursts and self._cluster.kafka.reachable():
            kafka = self._cluster.kafka.address
            sources = [(RAW, burst.partition) for burst in self.bursts]
            done = committed(kafka, "tidegate.preprocess", sources)
            self.bursts = [one for one in self.bursts if done[RAW, one.partition][0] < one.until]
            waiting = held(kafka, "preprocess")
            for burst in self.bursts:
                if burst.partition in waiting:
                    self._skip(burst)
        if self.bursts:
            self._look_later(self._look)

    def _skip(self, burst: Burst) -> None:
        options = ["--partition", str(burst.partition), "--until", str(burst.until)]
        done = subprocess.run(
            [sys.executable, "-m", "cli", "skip", "preprocess", *options],
            cwd=ROOT,
            env=self._cluster.variables("skip"),
            capture_output=True,
            text=True,
            check=False,
        )
        self._say(f"skip   {RAW}/{burst.partition} until {burst.until}: exit {done.returncode}")


def shifted(seconds: str) -> dict[str, str]:
    """Variables for a process whose wall clock is off; what it measures intervals by is not."""
    (library,) = Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1")
    return {
        "LD_PRELOAD": str(library),
        "FAKETIME": seconds,
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "FAKETIME_NO_CACHE": "0",
    }
