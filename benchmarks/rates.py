"""The rate into both databases beside another commit: `python -m benchmarks.rates REVISION`.

The whole card pipeline, as `make bench` measures it, a run here and one there in turns, on a system
of its own each time and with the bundle that the side learnt first. Prints each pair of runs, then
the medians of both sides and of the pairs' ratios.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from benchmarks.against import Side, checked_out, run, scratch_folder
from benchmarks.pipeline import measure, prepare
from benchmarks.system import ROOT, System
from tidegate.host.warm import warm

DATABASES = ("postgresql", "sqlite")
LONGEST_S = 600
"""Seconds after which a run is ended."""
Run = dict[str, float]
Pair = tuple[Run, Run]


def main() -> None:
    """Measure and print; or be one run of a side."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("revision", help="commit, branch or tag to compare with")
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--transactions", type=int, default=120_000)
    parser.add_argument("--run", nargs=2, metavar=("DATABASE", "BUNDLES"), help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.run:
        print(json.dumps(run_here(asked.run[0], Path(asked.run[1]), asked.transactions)))
        return
    warm()
    with checked_out(asked.revision) as other, scratch_folder() as scratch:
        sides = (Side("here", ROOT, Path(sys.executable)), other)
        for database in DATABASES:
            once = partial(ask, scratch=scratch, database=database, asked=asked)
            pairs: list[Pair] = []
            for turn in range(asked.pairs):
                pairs.append(pair_of(sides, turn, once))
                show(f"{database}, pair {turn + 1}", pairs[-1:])
            show(f"{database}, medians", pairs)


def pair_of(sides: tuple[Side, Side], turn: int, once: Callable[[Side], Run]) -> Pair:
    """A run of each side; who is first changes with the turn."""
    found = {side.name: once(side) for side in (sides if turn % 2 == 0 else sides[::-1])}
    return found[sides[0].name], found[sides[1].name]


def show(title: str, pairs: Sequence[Pair]) -> None:
    """Print the medians of these pairs."""
    figures = []
    for name in pairs[0][0]:
        ours, theirs = (statistics.median(pair[side][name] for pair in pairs) for side in (0, 1))
        ratio = statistics.median(pair[0][name] / pair[1][name] for pair in pairs)
        figures.append(f"{name} {ours:,} / {theirs:,} = {ratio:.3f}")
    print(f"{title}: {'; '.join(figures)}", flush=True)


def ask(side: Side, scratch: Path, database: str, asked: argparse.Namespace) -> Run:
    """A run of this side. Raises RuntimeError with what was said by one that fails."""
    count, bundles = str(asked.transactions), str(scratch / f"bundles-{side.name}")
    own = ["--run", database, bundles, "--transactions", count, asked.revision]
    return run(side, scratch, LONGEST_S, "benchmarks.rates", *own)


def run_here(database: str, bundles: Path, transactions: int) -> Run:
    """Transactions a second, and CPU us of one in our processes and in the broker."""
    with scratch_folder() as folder:
        system = System(folder / "system")
        system.start()
        try:
            url = system.postgres.url if database == "postgresql" else ""
            settings = system.settings(db=url, bundles=str(bundles))
            prepare(settings, train=not bundles.exists())
            rate = measure(system, settings, transactions)
        finally:
            system.close()
    return {
        "tx_s": round(rate.tx_s),
        "cpu_us": round(sum(rate.cpu_us_per_tx.values()), 2),
        "broker_us": round(rate.broker_us_per_tx, 2),
    }


if __name__ == "__main__":
    main()
