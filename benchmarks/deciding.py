"""What scoring, explaining what is flagged, and counting for the drift cost: `python -m
benchmarks.deciding`.

Prints microseconds for each transaction of a batch of which 1% is flagged, and for each flagged
one.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from consumers.drift_watch import DriftWatch
from model.bundles.bundle import Bundle
from model.bundles.counterfactual import passing
from model.bundles.reasons import reasons
from model.detectors.base import Array
from model.history.fold import fold
from model.training.train import train
from producers.simulator.history import simulated
from tidegate.profile import Profile, load_profile

_ROWS = 10_000


def main() -> None:
    """Train on the card simulator, then measure; the best of five runs of each."""
    profile = load_profile("card")
    history = simulated(profile, 30_000).history
    with tempfile.TemporaryDirectory() as folder:
        bundle = train(profile, history, Path(folder), lambda _share, _what: None)
        values = fold(profile, history)
        print(
            "drift              "
            f"{_drift(DriftWatch(profile, Path(folder)), profile, bundle, values):8.2f} us/tx"
        )
    worst = values[np.argsort(-bundle.score(values).final)[: _ROWS // 100]]
    amounts = np.zeros(len(worst), np.int64)
    tried = np.argsort(-bundle.contributions(worst)[:, 1:], axis=1)[:, :3]
    print(f"score              {_best(lambda: bundle.score(values[:_ROWS])) / _ROWS:8.2f} us/tx")
    for name, work in {
        "reasons and limits": lambda: reasons(bundle, profile, worst, amounts),
        "of which limits": lambda: passing(bundle, worst, amounts, tried),
    }.items():
        us = _best(work)
        print(f"{name:<18} {us / _ROWS:8.2f} us/tx {us / len(worst):8.1f} us/flagged")


def _drift(watch: DriftWatch, profile: Profile, bundle: Bundle, values: Array) -> float:
    """Microseconds for each transaction of a batch that persist counts."""
    state = watch.new_state()
    rows = profile.scored_layout.empty(_ROWS)
    rows["values"] = values[:_ROWS]
    rows["bundle"] = bundle.hash.encode()
    offsets = np.arange(_ROWS)
    return _best(lambda: watch.fold(state, offsets, rows)) / _ROWS


def _best(work: Callable[[], object]) -> float:
    """Microseconds of the fastest of five runs, after one that compiles."""
    work()
    seconds = []
    for _ in range(5):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return min(seconds) * 1e6


if __name__ == "__main__":
    main()
