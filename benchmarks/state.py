"""What the keyed state costs: memory a key, restoring it, and the operator's time.

`python -m benchmarks.state` prints all of it for the card profile over the simulator's traffic: two
months in which an account pays ten times in the mean, and a merchant is paid 200 times.

    memory    bytes a key, and at its peak while the state grows, without ids and labels
    restore   seconds from the snapshot to an equal state, and the peak of memory meanwhile
    operator  CPU a transaction in batches of 4,000; `--beside TREE` runs another commit's tree in
              turns with this one, and prints the ratio of the medians
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from consumers.preprocess import PreprocessStage
from model.features.plan import Plan
from model.features.state import KeyedState
from model.history.fold import fold
from producers.simulator.history import read_frame, simulate_history
from tidegate.profile import Profile, load_profile
from tidegate.stream.snapshot import Snapshot, Snapshots

Ints = NDArray[np.int64]
ACCOUNTS, MERCHANTS, PAYMENTS = 20_000, 1_000, 10
"""Of one simulated world; more keys are copies of it under other hashes, beside each other."""
BATCH = 4_000
RUNS = 5
_ODD = 0x5851F42D4C957F2D


class World(NamedTuple):
    """Transactions of `ACCOUNTS` accounts in time order, with all columns filled in."""

    times: Ints
    hashes: Ints
    values: NDArray[np.float64]

    def cut(self, start: int, stop: int) -> World:
        """Those from `start` to `stop`."""
        rows = slice(start, stop)
        return World(self.times[rows], self.hashes[rows], self.values[rows])


def main() -> None:
    """Measure what is asked for, each in a process of its own: memory is not given back."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keys", type=int, default=1_000_000, help="accounts")
    parser.add_argument("--beside", type=Path, help="another commit's tree")
    parser.add_argument("--only", choices=sorted(_MEASURES))
    parser.add_argument("--step", type=int, help="measure here, print JSON")
    parser.add_argument("--world", type=Path, help="file of the transactions, made if need be")
    given = parser.parse_args()
    if given.step is not None:
        world = _read(given.world)
        sys.stdout.write(json.dumps(_MEASURES[given.only](world, given.step, given.keys)) + "\n")
        return
    with tempfile.TemporaryDirectory() as folder:
        file = given.world or Path(folder) / "world.npz"
        if not file.exists():
            np.savez(file, **_simulated(load_profile("card"))._asdict())
        for name in [given.only] if given.only else _MEASURES:
            for step in range(load_profile("card").steps):
                _compare(name, step, given.keys, file, given.beside)


def _compare(name: str, step: int, keys: int, world: Path, beside: Path | None) -> None:
    """Run one measuring in this tree, and in turns with the one beside it."""
    trees = [Path(__file__).parents[1], *([beside] if beside else [])]
    runs = RUNS if name == "operator" else 1
    found: list[list[dict[str, float]]] = [[] for _ in trees]
    for _ in range(runs):
        for tree, into in zip(trees, found, strict=True):
            into.append(_run(tree, name, step, keys, world))
    for figure in found[0][0]:
        medians = [statistics.median(each[figure] for each in into) for into in found]
        line = f"step {step + 1} {figure:32} " + "  beside ".join(f"{m:14,.2f}" for m in medians)
        ratio = f"  ratio {medians[0] / medians[1]:.3f}" if beside else ""
        sys.stdout.write(line + ratio + "\n")
        sys.stdout.flush()


def _run(tree: Path, name: str, step: int, keys: int, world: Path) -> dict[str, float]:
    """One measuring by the code of a tree, with the measuring of this one."""
    command = [sys.executable, __file__, "--only", name, "--step", str(step)]
    command += ["--keys", str(keys), "--world", str(world)]
    environment = os.environ | {"PYTHONPATH": str(tree.resolve())}
    run = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, cwd=tree)
    figures: dict[str, float] = json.loads(run.stdout)
    return figures


def _memory(world: World, step: int, keys: int) -> dict[str, float]:
    state, before = _warm(world, step), _resident()
    _forget_peak()
    n = _fill(state, world, step, keys)
    held, peak = _resident() - before, _peak() - before
    return {
        f"bytes a key of {n:,}": held / n,
        "bytes a key at the peak": peak / n,
        "bytes a key in a snapshot": _written(state) / n,
    }


def _restore(world: World, step: int, keys: int) -> dict[str, float]:
    state = _warm(world, step)
    n = _fill(state, world, step, keys)
    with tempfile.TemporaryDirectory() as folder:
        snapshots, digest = Snapshots(f"file://{folder}"), state.digest()
        started = time.perf_counter()
        arrays = state.arrays()
        copied = time.perf_counter() - started
        snapshots.save("state", "tag", 0, Snapshot(1, 0, arrays))
        written = time.perf_counter() - started
        del arrays, state
        _forget_peak()
        before, started = _resident(), time.perf_counter()
        stage = PreprocessStage(load_profile("card"), step)
        restored = stage.load_state(0, 1, snapshots.load("state", "tag", 0, 1).arrays)
        seconds = time.perf_counter() - started
        if restored.digest() != digest:
            raise RuntimeError("the restored state is not the one that was saved")
    return {
        f"seconds to restore {n:,} keys": seconds,
        "bytes a key at the peak, restoring": (_peak() - before) / n,
        "seconds to copy a snapshot": copied,
        "seconds to write it, copied": written,
    }


def _operator(world: World, step: int, keys: int) -> dict[str, float]:
    """CPU us a transaction: of the world alone, and with as many keys as are asked for."""
    few, many = _warm(world, step), _warm(world, step)
    return {
        "CPU us a transaction, one world": _cpu_us(few, world, ACCOUNTS),
        f"CPU us a transaction, {keys:,} accounts": _cpu_us(many, world, keys),
    }


def _cpu_us(state: KeyedState, world: World, keys: int) -> float:
    spent, count = 0.0, 0
    for batch in _batches(world, keys):
        started = time.process_time()
        _fold(state, batch)
        spent += time.process_time() - started
        count += len(batch.times)
    return spent / count * 1e6


def _warm(world: World, step: int) -> KeyedState:
    """An empty state; all loops are compiled, and the world is made."""
    state = KeyedState(Plan(load_profile("card"), step))
    first = next(_batches(world, 1))
    _fold(state, first.cut(0, 100))
    return KeyedState(state.plan)


def _fill(state: KeyedState, world: World, step: int, keys: int) -> int:
    """Fold the traffic of so many keys; returns how many there are."""
    for batch in _batches(world, keys):
        _fold(state, batch)
    return max(1, round(keys / ACCOUNTS)) * len(np.unique(world.hashes[:, step]))


def _fold(state: KeyedState, batch: World) -> None:
    keys = np.ascontiguousarray(batch.hashes[:, state.plan.key])
    state.begin()
    state.fold(keys, batch.hashes, batch.times, batch.times, batch.values.copy())
    state.commit()


def _batches(world: World, keys: int) -> Iterator[World]:
    """The world's traffic, of as many copies of it as have so many accounts."""
    copies = max(1, round(keys / ACCOUNTS))
    rows = max(1, BATCH // copies)
    for start in range(0, len(world.times), rows):
        whole = _copied(world.cut(start, start + rows), copies)
        for first in range(0, len(whole.times), BATCH):
            yield whole.cut(first, first + BATCH)


def _copied(part: World, copies: int) -> World:
    """The same transactions under other hashes, beside each other in time."""
    others = np.tile(np.arange(copies) * _ODD, len(part.times))
    hashes = np.repeat(part.hashes, copies, axis=0) ^ others[:, None]
    return World(np.repeat(part.times, copies), hashes, np.repeat(part.values, copies, axis=0))


def _read(file: Path) -> World:
    with np.load(file) as arrays:
        return World(**{name: arrays[name] for name in World._fields})


def _simulated(profile: Profile) -> World:
    n = ACCOUNTS * PAYMENTS
    frame = simulate_history(profile, n, 15, accounts=ACCOUNTS, merchants=MERCHANTS)
    history = read_frame(profile, frame).history
    return World(history.times, history.hashes.view(np.int64), fold(profile, history))


def _written(state: KeyedState) -> int:
    """Bytes of a snapshot."""
    return sum(array.nbytes for array in state.arrays().values())


def _resident() -> int:
    return _status("VmRSS")


def _peak() -> int:
    return _status("VmHWM")


def _forget_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5")


def _status(name: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(name):
            return int(line.split()[1]) * 1024
    raise RuntimeError(f"/proc/self/status has no {name}")


_MEASURES: dict[str, Callable[[World, int, int], dict[str, float]]] = {
    "memory": _memory,
    "operator": _operator,
    "restore": _restore,
}


if __name__ == "__main__":
    main()
