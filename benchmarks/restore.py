"""How long a keyed step takes to go on after a restart with a million accounts in its windows."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.pipeline import card_transactions
from consumers.preprocess import PreprocessStage
from tidegate.broker.records import Batch, TopicPartition
from tidegate.pipeline import RAW
from tidegate.profile import load_profile
from tidegate.stream.snapshot import Snapshot, Snapshots

KEYS = 1_000_000
CHUNK = 10_000
SOURCE = TopicPartition(RAW, 0)


def restore_seconds(folder: Path) -> float:
    """Seconds from the snapshot file to an equal state of 1,000,000 accounts."""
    stage = PreprocessStage(load_profile("card"))
    state = stage.new_state(0, 1)
    for batch in _batches():
        state.begin()
        stage.process(state, batch)
        state.commit()
    snapshots = Snapshots(f"file://{folder}")
    snapshots.save(stage.name, stage.snapshot_tag, 0, Snapshot(KEYS, 0, state.arrays()))
    digest = state.digest()
    del state
    started = time.perf_counter()
    restored = stage.load_state(
        0, 1, snapshots.load(stage.name, stage.snapshot_tag, 0, KEYS).arrays
    )
    seconds = time.perf_counter() - started
    if restored.digest() != digest:
        raise RuntimeError("the restored state is not the one that was saved")
    return seconds


def _batches() -> Iterator[Batch]:
    """One transaction for each account, with the merchants and amounts of the simulator."""
    values = [value for _, value in card_transactions(CHUNK, "restore-", 15)]
    for start in range(0, KEYS, CHUNK):
        own = [
            value.replace(b'"restore-', b'"r%d-' % start).replace(
                b'"user_id":"', b'"user_id":"%d-%d-' % (start, number)
            )
            for number, value in enumerate(values)
        ]
        yield Batch(
            SOURCE,
            list(range(start, start + CHUNK)),
            [None] * CHUNK,
            list(own),
            [1_800_000_000_000] * CHUNK,
            [None] * CHUNK,
        )
