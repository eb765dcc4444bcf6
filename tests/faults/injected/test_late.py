"""A late detector in the whole pipeline: its row says so, is replayed without it, and gets a
revision with it.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from consumers.replay.logs import Logs
from consumers.replay.replay import Replay
from consumers.replay.rescore import rescore
from consumers.score import ScoreStage
from db.revisions import read_degraded, write_revisions
from db.store import Store
from model.detectors.trees.lightgbm import LightGBM
from tests.faults.injected.bench import PROFILE, Bench
from tests.faults.injected.test_pipeline import Step
from tests.model.gate import Gate, gate_of
from tests.support import eventually
from tidegate.messages.frames import DECISIONS
from tidegate.stream.snapshot import Snapshots
from tidegate.stream.stage import Stage

pytestmark = pytest.mark.training

gate = gate_of(LightGBM)


class Limited(Bench):
    """No detector may take more than a second."""

    def stage(self, name: str) -> tuple[Stage[Any], Store | None]:
        return (
            (ScoreStage(PROFILE, self.folder, 1.0), None)
            if name == "score"
            else super().stage(name)
        )


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Limited]:
    made = Limited(tmp_path)
    yield made
    made.close()


def decided(bench: Bench, store: Store, number: int) -> dict[str, Any]:
    """A transaction's row, once all of the pipeline has done its part."""
    Step(number).post(bench)
    bench.run()
    row = store.get(f"t{number}")
    assert row
    return row


def test_its_row_says_so_and_a_rescore_is_a_revision(bench: Limited, gate: Gate) -> None:
    store = Store(bench.database, PROFILE)
    assert decided(bench, store, 1)["degraded"] == []
    gate.close()
    rows = [decided(bench, store, number) for number in (2, 3)]
    assert [(row["degraded"], row["scores"]["lightgbm"], row["revision"]) for row in rows] == [
        (["lightgbm"], None, None)
    ] * 2
    gate.open()
    numbers = count(4)
    eventually(lambda: decided(bench, store, next(numbers))["degraded"] == [])
    assert not bench.dead()
    snapshots = Snapshots(bench.snapshots)
    replay = Replay(PROFILE, bench.broker, snapshots, bench.folder)
    assert [replay.differences(row) for row in rows] == [[], []]
    logs, late = (
        Logs(bench.broker, snapshots),
        read_degraded(bench.database, PROFILE.hash.decode(), 2),
    )
    found = rescore(PROFILE, late, logs, bench.folder, bench.clock)
    logs.close()
    assert ([part.transaction_id for part in found.revisions[:2]], found.failures) == (
        ["t2", "t3"],
        {},
    )
    write_revisions(bench.database, found.revisions)
    for row in rows:
        again = store.get(row["transaction_id"])
        assert again
        values = np.array([[row["features"][name] for name in PROFILE.values]], np.float64)
        whole = bench.bundle.score(values)
        assert again["revision"].pop("rescored_us")
        assert again.pop("revision") == {
            "score": whole.final[0],
            "decision": DECISIONS[bench.bundle.decide(whole.final, np.array([100]))[0]],
            "scores": dict(zip(PROFILE.models.names, whole.detectors[0].tolist(), strict=True)),
        }
        assert again | {"revision": None} == row
    store.close()
