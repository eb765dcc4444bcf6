"""`make bench`: every figure of docs/benchmarks.md from one run, as a table and a line of JSON."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from benchmarks.detectors import detector_us_per_tx, with_every_detector
from benchmarks.idle import idle_cores
from benchmarks.latency import Latency, latency
from benchmarks.pipeline import Rate, byte_copy, measure, prepare, tutorial_loop
from benchmarks.posting import batch_posts, single_posts
from benchmarks.restore import restore_seconds
from benchmarks.system import System
from tidegate.pipeline import CONSUMERS
from tidegate.profile import load_profile

Figures = dict[str, object]
R = TypeVar("R")


def main() -> None:
    """Run everything and print it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="a tenth of the transactions, at most 2 minutes"
    )
    quick = parser.parse_args().quick
    started = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="tidegate-bench-") as folder:
        figures = run(Path(folder), 40_000 if quick else 400_000, quick=quick)
    figures["bench_seconds"] = round(time.perf_counter() - started)
    _table(figures)
    sys.stdout.write(json.dumps(figures) + "\n")


def run(folder: Path, n: int, *, quick: bool) -> Figures:
    """All figures; `n` transactions for the rates."""
    first = System(folder / "postgresql")
    first.start()
    try:
        figures, plain = _with_postgresql(first, n, quick=quick)
        bundles = first.settings().bundles_dir
        second = System(folder / "sqlite")
        second.start()
        try:
            settings = second.settings(db="", bundles=str(bundles))
            _say("SQLite", lambda: prepare(settings, train=False))
            rate = _say("pipeline into SQLite", lambda: measure(second, settings, n))
        finally:
            second.close()
    finally:
        first.close()
    figures["pipeline_sqlite_tx_s"] = round(rate.tx_s)
    if not quick:
        every = _say("pipeline with every detector", lambda: _every_detector(folder, n))
        figures["pipeline_every_detector_tx_s"] = round(every.tx_s)
        figures["ratio_every_detector"] = round(every.tx_s / plain, 3)
    seconds = _say("restore of 1,000,000 keys", lambda: restore_seconds(folder / "restore"))
    figures["restore_1m_keys_s"] = round(seconds, 2)
    figures["detector_us_per_tx"] = _say("detectors", lambda: detector_us_per_tx(neural=not quick))
    return figures


def _every_detector(folder: Path, n: int) -> Rate:
    """Into PostgreSQL, the card profile with every detector as large as it is by default."""
    profile = folder / "profiles" / "card.yaml"  # its name chooses what simulates
    profile.parent.mkdir()
    profile.write_text(with_every_detector(load_profile("card").path.read_text()))
    system = System(folder / "every-detector", str(profile))
    system.start()
    try:
        settings = system.settings()
        prepare(settings)
        return measure(system, settings, n)
    finally:
        system.close()


def _with_postgresql(system: System, n: int, *, quick: bool) -> tuple[Figures, float]:
    """The figures, and the rate not rounded."""
    settings = system.settings()
    _say("topics, tables, training", lambda: prepare(settings))
    rate = _say("pipeline into PostgreSQL", lambda: measure(system, settings, n))
    late = _say(
        "latency at 1,000 tx/s", lambda: latency(system, settings, seconds=5 if quick else 30)
    )
    idle = _say("idle", lambda: idle_cores(system, seconds=5 if quick else 20))
    system.end(*CONSUMERS)
    single = _say("single posts", lambda: single_posts(system, 10_000 if quick else 60_000))
    batch = _say("batch posts", lambda: batch_posts(system, 50_000 if quick else 400_000))
    system.end("ingest")
    copied = _say("bytes copied", lambda: byte_copy(system, n))
    tutorial = _say(
        "tutorial loop", lambda: tutorial_loop(system, settings, 500 if quick else 5000)
    )
    return _rates(rate, copied, tutorial) | _waits(late) | {
        "idle_cores": round(idle, 3),
        "single_post_s": round(single),
        "batch_post_tx_s": round(batch),
    }, rate.tx_s


def _rates(rate: Rate, copied: float, tutorial: float) -> Figures:
    cpu = {name: round(us, 2) for name, us in rate.cpu_us_per_tx.items()}
    return {
        "transactions": rate.transactions,
        "pipeline_postgresql_tx_s": round(rate.tx_s),
        "byte_copy_tx_s": round(copied),
        "tutorial_loop_tx_s": round(tutorial),
        "ratio_to_byte_copy": round(rate.tx_s / copied, 3),
        "ratio_to_tutorial_loop": round(rate.tx_s / tutorial, 1),
        "cpu_us_per_tx": cpu,
        "cpu_us_per_tx_total": round(sum(rate.cpu_us_per_tx.values()), 2),
        "cpu_us_per_tx_step_and_score": round(
            rate.cpu_us_per_tx["preprocess"] + rate.cpu_us_per_tx["score"], 2
        ),
        "broker_cpu_us_per_tx": round(rate.broker_us_per_tx, 2),
        "peak_mb": {name: round(mb) for name, mb in rate.peak_mb.items()},
    }


def _waits(late: Latency) -> Figures:
    return {
        "latency_p50_ms": round(late.p50, 1),
        "latency_p99_ms": round(late.p99, 1),
        "latency_first_second_p50_ms": round(late.first_p50, 1),
        "latency_last_second_p50_ms": round(late.last_p50, 1),
        "latency_hop_p50_ms": {name: round(ms, 1) for name, ms in late.hops_p50.items()},
        "cores_at_1000_tx_s": round(late.ours, 3),
        "broker_cores_at_1000_tx_s": round(late.broker, 3),
    }


def _say(what: str, work: Callable[[], R]) -> R:
    started = time.perf_counter()
    result = work()
    sys.stderr.write(f"{what}: {time.perf_counter() - started:.1f} s\n")
    return result


def _table(figures: Figures) -> None:
    for name, value in figures.items():
        if isinstance(value, dict):
            for key, number in value.items():
                sys.stdout.write(f"{name + '.' + key:42} {number:>12,}\n")
        elif isinstance(value, int | float):
            sys.stdout.write(f"{name:42} {value:>12,}\n")


if __name__ == "__main__":
    main()
