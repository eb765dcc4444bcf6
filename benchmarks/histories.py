"""`python -m benchmarks.histories`: how fast, and in how much memory, `tidegate train` reads a CSV.

Beside the commit before the one reader, which read it by pandas, in turn: `--beside CHECKOUT`. Each
run is a process of its own; seconds are from the file to the columns that features are computed
of, verdicts included. A few rows are read before, so that no run counts what it imports. Prints a
line a run and the medians.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

from producers.simulator.history import simulate_history
from tidegate.profile import load_profile

ROOT = Path(__file__).parents[1]
_FIRST = 1000
_MEASURED = """
import json, resource, sys, time
from pathlib import Path
from tidegate.profile import load_profile
{imports}
profile, first, place = load_profile("card"), *sys.argv[1:]
def rows_of(place):
    {work}
rows_of(first)
wall, cpu = time.perf_counter(), time.process_time()
rows = rows_of(place)
print(json.dumps({{
    "rows": rows,
    "seconds": time.perf_counter() - wall,
    "cpu": time.process_time() - cpu,
    "MB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
}}))
"""
READER = _MEASURED.format(
    imports="from model.history.reading import read_history",
    work="return len(read_history(profile, place, 'label').history.times)",
)
PANDAS = _MEASURED.format(
    imports="""from model.history.fold import event_times, hash_columns_of, inputs
from model.history.verdict_files import read_history""",
    work="""frame, labels = read_history(profile, Path(place), "label")
    columns = event_times(profile, frame), hash_columns_of(profile, frame), inputs(profile, frame)
    return len(frame)""",
)


def main() -> None:
    """Write the file, read it in turn, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000, help="(default: %(default)s)")
    parser.add_argument("--runs", type=int, default=5, help="(default: %(default)s)")
    parser.add_argument("--beside", type=Path, help="a checkout that reads by pandas")
    asked = parser.parse_args()
    ways = {"one reader": (ROOT, READER)}
    if asked.beside:
        ways["pandas"] = (asked.beside, PANDAS)
    with tempfile.TemporaryDirectory(prefix="tidegate-histories-") as folder:
        place, first = Path(folder) / "history.csv", Path(folder) / "first.csv"
        history = simulate_history(load_profile("card"), asked.rows)
        history.to_csv(place, index=False)
        history[:_FIRST].to_csv(first, index=False)
        del history
        size = place.stat().st_size
        print(f"{asked.rows:,} rows, {size / 1e6:,.0f} MB")
        _report(_runs(ways, [first, place], asked.runs))


def _runs(
    ways: dict[str, tuple[Path, str]], places: list[Path], count: int
) -> dict[str, list[dict[str, float]]]:
    found = defaultdict(list)
    for _ in range(count):
        for name, (checkout, code) in ways.items():
            found[name].append(_run(checkout, code, places))
            print(f"{name:12}{json.dumps(found[name][-1])}", flush=True)
    return found


def _run(checkout: Path, code: str, places: list[Path]) -> dict[str, float]:
    done = subprocess.run(
        [checkout / ".venv/bin/python", "-c", code, *places],
        stdout=subprocess.PIPE,
        text=True,
        check=False,
        cwd=checkout,
    )
    if done.returncode:
        sys.exit(f"exit code {done.returncode} in {checkout}")
    return dict(json.loads(done.stdout))


def _report(found: dict[str, list[dict[str, float]]]) -> None:
    print(f"{'':12}{'rows/s':>10}{'CPU us/row':>12}{'MB':>8}")
    for name, runs in found.items():
        rows = runs[0]["rows"]
        seconds, cpu, memory = (
            statistics.median(run[key] for run in runs) for key in ("seconds", "cpu", "MB")
        )
        print(f"{name:12}{rows / seconds:>10,.0f}{1e6 * cpu / rows:>12.2f}{memory:>8,.0f}")


if __name__ == "__main__":
    main()
