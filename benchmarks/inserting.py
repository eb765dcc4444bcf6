"""What persist costs a row beside another commit: `python -m benchmarks.inserting REVISION`.

Feeds the same scored batches, of 40 rows and of 1,000, straight into persist's stage and its sink,
into SQLite and PostgreSQL, here and on the other commit in turns of some tenths of a second. Prints
the median time of a row on either side, CPU (of the process, and of a server of PostgreSQL for each
side) and by the clock, and the median of the turns' ratios with that of their quarters.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from inspect import signature
from pathlib import Path
from typing import NamedTuple

import psutil

from benchmarks.against import Side, checked_out, scratch_folder
from benchmarks.rows import PROFILE, batch_of
from benchmarks.system import ROOT
from consumers.persist import Persist
from db.migrate import migrate
from db.names import names_of
from db.sink import SqlSink
from tests.postgres import new_server
from tidegate.broker.memory.broker import MemoryBroker
from tidegate.broker.records import Batch, Position, TopicPartition
from tidegate.clock import now_us
from tidegate.host.spawn import guarded
from tidegate.pipeline import DLQ, SCORED
from tidegate.stream.garbage import collecting_between_batches

SIZES = {40: 250, 1000: 20}
"""Rows of a batch, and batches of a turn."""
SAMPLE = 0.001
_SOURCE = TopicPartition(SCORED, 0)


class Cost(NamedTuple):
    """Microseconds a row."""

    cpu: float
    wall: float


def main() -> None:
    """Measure and print; or be what writes on one side."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("revision", help="commit, branch or tag to compare with")
    parser.add_argument("--turns", type=int, default=15)
    parser.add_argument("--write", metavar="URL", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.write:
        write(asked.write)
        return
    print(f"{'us a row':32} {'here':>8} {asked.revision[:8]:>8} {'ratio':>8} {'quarters':>15}")
    with checked_out(asked.revision) as other, scratch_folder() as scratch:
        here = Side("here", ROOT, Path(sys.executable))
        for database in ("sqlite", "postgresql"):
            with ExitStack() as stack:
                pair = [stack.enter_context(running(s, database, scratch)) for s in (here, other)]
                for size in SIZES:
                    compare(f"{database}, batches of {size:,}", pair, size, asked.turns)


def compare(name: str, pair: list[Process], size: int, turns: int) -> None:
    """Print what both cost; the first turn of each warms up."""
    costs: list[tuple[Cost, Cost]] = []
    for turn in range(turns + 1):
        first = turn % 2
        found = {which: pair[which].turn(size) for which in (first, 1 - first)}
        costs.append((found[0], found[1]))
    for kind in Cost._fields:
        ours, theirs = ([getattr(cost[k], kind) for cost in costs[1:]] for k in (0, 1))
        ratios = [mine / other for mine, other in zip(ours, theirs, strict=True)]
        low, middle, high = statistics.quantiles(ratios, n=4)
        print(
            f"{name + ', ' + kind:32} {statistics.median(ours):8.2f} "
            f"{statistics.median(theirs):8.2f} {middle:8.3f} {low:7.3f}-{high:.3f}",
            flush=True,
        )


class Process:
    """A process that writes, and the server it writes to, if any."""

    def __init__(self, process: subprocess.Popen[str], server: int | None) -> None:
        self._process = process
        self._used = [psutil.Process(pid) for pid in (process.pid, server) if pid is not None]

    def turn(self, size: int) -> Cost:
        """Let it write the batches of one turn."""
        self._tell(str(size))
        cpu, begun = self._cpu_seconds(), time.perf_counter()
        self._tell("go")
        wall, cpu = time.perf_counter() - begun, self._cpu_seconds() - cpu
        rows = size * SIZES[size]
        return Cost(1e6 * cpu / rows, 1e6 * wall / rows)

    def _tell(self, word: str) -> None:
        """Until it has done so."""
        if self._process.stdin is None or self._process.stdout is None:
            raise RuntimeError("its pipes are closed")
        self._process.stdin.write(f"{word}\n")
        self._process.stdin.flush()
        if self._process.stdout.readline() != "done\n":
            raise RuntimeError(f"it ended with {self._process.wait()}")

    def _cpu_seconds(self) -> float:
        """Of them and of all their children that are there."""
        every = [each for used in self._used for each in (used, *used.children(recursive=True))]
        return sum(map(_nanoseconds, every)) / 1e9


def _nanoseconds(process: psutil.Process) -> int:
    """That the kernel gave it; 0 of one that has just ended."""
    with suppress(OSError):
        return int(Path(f"/proc/{process.pid}/schedstat").read_text().split()[0])
    return 0


@contextmanager
def running(side: Side, database: str, scratch: Path) -> Iterator[Process]:
    """What writes on this side, into a new database."""
    folder = scratch / f"{side.name}-{database}"
    with ExitStack() as stack:
        url, pid = f"sqlite:///{folder}/tidegate.db", None
        folder.mkdir()
        if database == "postgresql":
            server = new_server(folder)
            server.start()
            stack.callback(server.stop)
            url, pid = server.url, server.process and server.process.pid
        command = [str(side.python), "-m", "benchmarks.inserting", "-", "--write", url]
        environment = os.environ | {"PYTHONPATH": str(side.folder)}
        process = subprocess.Popen(
            guarded(command),
            cwd=side.folder,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        stack.callback(process.kill)
        yield Process(process, pid)


def write(url: str) -> None:
    """Prepare the batches of each size that is asked for, and write them when told to."""
    migrate(url)
    options = {"sample": SAMPLE} if "sample" in signature(SqlSink).parameters else {}
    broker = MemoryBroker({SCORED: 1, DLQ: 1})
    stage, start = Persist(PROFILE, Path("none")), 0
    state = stage.new_state(0, 1)
    with closing(SqlSink(url, broker, names_of(PROFILE), clock=now_us, **options)) as sink:
        sink.positions([_SOURCE])
        for line in sys.stdin:
            size = int(line)
            stop = start + size * SIZES[size]
            batches = [_batch(number, size) for number in range(start, stop, size)]
            print("done", flush=True)
            sys.stdin.readline()
            with collecting_between_batches() as collect:
                for batch in batches:
                    sink.settle()
                    output = stage.process(state, batch)
                    sink.write([(batch, output)], {_SOURCE: Position(batch.next_offset)})
                    collect()
            start = stop
            print("done", flush=True)


def _batch(start: int, size: int) -> Batch:
    values = PROFILE.scored_layout.pack(batch_of(start, size))
    nothing = [None] * size
    return Batch(_SOURCE, [*range(start, start + size)], nothing, values, [0] * size, nothing)


if __name__ == "__main__":
    main()
