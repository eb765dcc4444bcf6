"""`make bench-against REV=...`: this commit's `make bench` beside another commit's, in turns.

The other commit is checked out into a temporary folder, with this one's `benchmarks` laid over it,
so that both are measured by the same code; where that does not fit it any more, its own run says
so. It gets this interpreter, and a virtual environment of its own only where its locks differ.
Prints the median of each figure on both sides and their ratio, then a line of JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.system import ROOT
from tidegate.host.spawn import guarded
from tidegate.host.warm import warm

RUNS = 3
LONGEST_S, LONGEST_QUICK_S = 3600, 900
"""Seconds after which a run is ended."""
Figures = dict[str, float]


class Side(NamedTuple):
    """One of the two commits: its name, its folder, and the Python that has what it needs."""

    name: str
    folder: Path
    python: Path


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("revision", help="commit, branch or tag to compare with")
    parser.add_argument("--quick", action="store_true", help="each run is that of QUICK=1")
    asked = parser.parse_args()
    warm()
    with checked_out(asked.revision) as other, scratch_folder() as scratch:
        here = Side("here", ROOT, Path(sys.executable))
        runs: dict[str, list[Figures]] = {here.name: [], other.name: []}
        for turn in range(RUNS):
            for side in (here, other) if turn % 2 == 0 else (other, here):
                sys.stderr.write(f"run {turn + 1} of {RUNS}: {side.name}\n")
                runs[side.name].append(bench(side, scratch, quick=asked.quick))
    rows = compared(runs[here.name], runs[other.name])
    print(f"{'median of ' + str(RUNS):44} {'here':>12} {other.name[:12]:>12} {'ratio':>8}")
    for name, (ours, theirs, ratio) in rows.items():
        shown = "-" if ratio is None else f"{ratio:.3f}"
        print(f"{name:44} {ours:>12,} {theirs:>12,} {shown:>8}")
    print(json.dumps({"here": runs[here.name], other.name: runs[other.name]}))


@contextmanager
def checked_out(revision: str) -> Iterator[Side]:
    """The other commit in a worktree that is removed at the end. Raises CalledProcessError when git
    knows no such commit.
    """
    commit = _git("rev-parse", "--short", "--verify", f"{revision}^{{commit}}").strip()
    with tempfile.TemporaryDirectory(prefix="tidegate-against-") as temporary:
        folder = Path(temporary) / commit
        _git("worktree", "add", "--detach", str(folder), commit)
        try:
            shutil.rmtree(folder / "benchmarks", ignore_errors=True)
            shutil.copytree(ROOT / "benchmarks", folder / "benchmarks")
            yield Side(commit, folder, _python(folder))
        finally:
            _git("worktree", "remove", "--force", str(folder))


def _git(*arguments: str) -> str:
    command = ["git", "-C", str(ROOT), *arguments]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def _python(folder: Path) -> Path:
    """Our interpreter if the other commit needs the same packages, else one of its own."""
    if _locks(folder) == _locks(ROOT):
        return Path(sys.executable)
    install = ["make", "-C", str(folder), ".venv/.installed-dev"]
    subprocess.run(install, check=True)
    return folder / ".venv" / "bin" / "python"


def _locks(folder: Path) -> list[bytes]:
    return [(folder / "requirements" / f"{name}.lock").read_bytes() for name in ("base", "dev")]


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """Where the runs write, so that nothing stays of one that is interrupted."""
    with tempfile.TemporaryDirectory(prefix="tidegate-against-") as folder:
        Path(folder).chmod(0o755)  # PostgreSQL's user must get through
        yield Path(folder)


def bench(side: Side, scratch: Path, *, quick: bool) -> Figures:
    """Every figure of one run. Raises RuntimeError with what was said by one that fails."""
    seconds = LONGEST_QUICK_S if quick else LONGEST_S
    return flat(run(side, scratch, seconds, "benchmarks.bench", *(["--quick"] if quick else [])))


def run(side: Side, scratch: Path, seconds: float, module: str, *arguments: str) -> dict[str, Any]:
    """What this side's module says in its last line, of JSON. Raises RuntimeError with what was
    said by one that fails.
    """
    done = subprocess.run(
        guarded([str(side.python), "-m", module, *arguments]),
        cwd=side.folder,
        env=os.environ | {"PYTHONPATH": str(side.folder), "TMPDIR": str(scratch)},
        timeout=seconds,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"the run of {side.name} failed: {done.stderr[-3000:]}")
    said: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return said


def flat(figures: Mapping[str, object]) -> Figures:
    """One name for each number: those of a group are GROUP.NAME."""
    numbers: Figures = {}
    for name, value in figures.items():
        if isinstance(value, dict):
            numbers |= {f"{name}.{key}": number for key, number in value.items()}
        elif isinstance(value, int | float):
            numbers[name] = value
    return numbers


def compared(
    here: Sequence[Figures], there: Sequence[Figures]
) -> dict[str, tuple[float, float, float | None]]:
    """By figure that both have in every run, both medians, and the first over the second."""
    names = [name for name in here[0] if all(name in run for run in (*here, *there))]
    rows = {}
    for name in names:
        ours, theirs = (statistics.median(run[name] for run in runs) for runs in (here, there))
        rows[name] = ours, theirs, ours / theirs if theirs else None
    return rows


if __name__ == "__main__":
    main()
