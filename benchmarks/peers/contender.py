"""One peer in one round: rate and CPU of a run at full speed, latency at 1,000 a second, scores."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import shutil
import statistics
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import psutil

from benchmarks.latency import RATE
from benchmarks.peers.topics import Results, paced
from benchmarks.pipeline import Message, create_topics, preload
from benchmarks.system import ROOT, usage_of
from tidegate.host.spawn import guarded

_STARTS = 300.0
"""Seconds until the first result: a Flink on a busy machine takes long to start."""
_LEAVES = 15.0


@dataclass(frozen=True)
class Traffic:
    """What everybody gets: transactions to warm up with, then those of the clock, then slow ones.

    The accounts of the three are different ones, so that no event comes before an older one.
    """

    warm: Sequence[Message]
    fast: Sequence[Message]
    slow: Sequence[Message]


@dataclass(frozen=True)
class Peer:
    """A program that reads ADDRESS SOURCE TARGET SETTINGS FOLDER, the arguments after `command`.

    `share` of the transactions are enough for one that is slow, `copies` of it run.
    """

    name: str
    command: Sequence[str]
    leaves_out: str
    arguments: Sequence[str] = ()
    copies: int = 1
    share: float = 1.0


@dataclass(frozen=True)
class Round:
    """Figures of one round; None where there is none. `scores` by transaction id."""

    tx_s: float
    cpu_us_per_tx: float
    peak_mb: float
    p50_ms: float | None
    p99_ms: float | None
    scores: dict[str, float] = field(default_factory=dict)


def median(rounds: Sequence[Round]) -> Round:
    """The median of each figure, and the scores of the last round."""

    def middle(figure: Callable[[Round], float | None]) -> float | None:
        values = [value for one in rounds if (value := figure(one)) is not None]
        return statistics.median(values) if values else None

    return Round(
        middle(lambda one: one.tx_s) or 0.0,
        middle(lambda one: one.cpu_us_per_tx) or 0.0,
        middle(lambda one: one.peak_mb) or 0.0,
        middle(lambda one: one.p50_ms),
        middle(lambda one: one.p99_ms),
        rounds[-1].scores,
    )


def measured(
    peer: Peer, address: str, traffic: Traffic, ids: Sequence[str], settings: Path, folder: Path
) -> Round:
    """Run a peer in a folder and on topics of its own, and end it."""
    source, target = f"{folder.name}.raw", f"{folder.name}.scored"
    create_topics(address, (source, target))
    folder.mkdir()
    fast = traffic.fast[: max(int(len(traffic.fast) * peer.share), len(ids))]
    warm = traffic.warm[: max(int(len(traffic.warm) * peer.share), 500)]
    preload(address, source, list(warm))()
    results = Results(address, target)
    running = _started(peer, [address, source, target, str(settings)], folder)
    try:
        results.wait(len(warm), _STARTS)
        results.forget()
        release = preload(address, source, list(fast))
        before = _cpu(running)
        released_us = time.time_ns() // 1000
        release()
        results.wait(len(fast))
        used = _cpu(running) - before
        seconds = (results.arrived_us[-1] - released_us) / 1e6
        scores = results.scores(set(ids))
        p50, p99 = _latency(address, source, traffic.slow, results, seconds / len(fast))
        peak = sum(usage_of(process.pid).peak for process in running)
    except TimeoutError as error:
        raise RuntimeError(f"{peer.name}: {error}; its log: {_log(folder)}") from error
    finally:
        results.close()
        _end(running)
    shutil.rmtree(folder)
    return Round(len(fast) / seconds, used / len(fast) * 1e6, peak / 1e6, p50, p99, scores)


def _latency(
    address: str, source: str, slow: Sequence[Message], results: Results, each: float
) -> tuple[float | None, float | None]:
    """p50 and p99 in ms; nothing for a peer that needs too many seconds for `each` transaction."""
    if each * RATE > 1:
        return None, None
    results.forget()
    due = paced(address, source, slow, RATE, results)
    results.wait(len(slow))
    arrived = {
        json.loads(value)["id"]: us
        for value, us in zip(results.values, results.arrived_us, strict=True)
    }
    names = [json.loads(value)["transaction_id"] for _, value in slow]
    late = np.array([arrived[name] for name in names]) - due
    p50, p99 = np.percentile(late, [50, 99]) / 1000
    return float(p50), float(p99)


def _started(peer: Peer, arguments: list[str], folder: Path) -> list[subprocess.Popen[bytes]]:
    env = os.environ | {
        "PYTHONPATH": str(ROOT),
        "OMP_WAIT_POLICY": "passive",
        "TMPDIR": str(folder),
        "FLINK_LOG_DIR": str(folder),
    }
    processes = []
    for number in range(peer.copies):
        own = folder / str(number)
        own.mkdir()
        with (folder / f"{number}.log").open("wb") as log:
            command = [*peer.command, *arguments, str(own), *peer.arguments]
            processes.append(
                subprocess.Popen(guarded(command), env=env, cwd=own, stdout=log, stderr=log)
            )
    return processes


def _cpu(processes: Sequence[subprocess.Popen[bytes]]) -> float:
    return sum(usage_of(process.pid).cpu for process in processes)


def _log(folder: Path) -> str:
    return "\n".join(log.read_text()[-2000:] for log in sorted(folder.glob("*.log")))


def _end(processes: Sequence[subprocess.Popen[bytes]]) -> None:
    """SIGTERM, and SIGKILL for those that stay, and for what they started."""
    families = [psutil.Process(process.pid).children(recursive=True) for process in processes]
    for process in processes:
        process.terminate()
    for process in processes:
        try:
            process.wait(_LEAVES)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    for child in itertools.chain.from_iterable(families):
        with contextlib.suppress(psutil.NoSuchProcess):
            child.kill()
