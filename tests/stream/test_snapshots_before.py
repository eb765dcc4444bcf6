"""Snapshots of the version before, which counted messages: the fold goes on from them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.stream.toy import Counters, CountStage
from tidegate.broker.memory.broker import MemoryBroker
from tidegate.broker.records import Position, TopicPartition
from tidegate.pipeline import BY_ENTITY_2, DLQ
from tidegate.stream.restore import Restorer
from tidegate.stream.snapshot import Snapshot, Snapshots

SOURCE = TopicPartition(BY_ENTITY_2, 0)


class LaterStep(CountStage):
    """One whose input holds blocks now."""

    input = BY_ENTITY_2
    side = None
    snapshot_tag = "v2"
    tag_of_messages = "v1"


def test_a_snapshot_of_the_version_before_is_taken_over(tmp_path: Path) -> None:
    broker = MemoryBroker({BY_ENTITY_2: 1, DLQ: 1})
    for number in range(10):
        broker.append_to(SOURCE, b"k", f"{number % 3}:{number}".encode(), None, None)
    stage: Any = LaterStep()
    snapshots = Snapshots(f"file://{tmp_path}")

    def restorer(kept: Snapshots | None) -> Restorer:
        tag = f"{stage.snapshot_tag}-origin"
        reader = broker.consumer(None)
        return Restorer(stage, reader, None, kept, partitions=1, tag=tag, batch=4)

    whole = restorer(None).load(SOURCE, Position(10 << 12))
    restorer(None).catch_up_whole(whole, Position(10 << 12))
    half = restorer(None).load(SOURCE, Position(6 << 12))
    restorer(None).catch_up_whole(half, Position(6 << 12))
    snapshots.save("toy", "v1-origin", 0, Snapshot(6, 0, half.state.arrays()))
    partition = restorer(snapshots).load(SOURCE, Position(10 << 12))
    assert partition.offset == 6 << 12
    restorer(snapshots).catch_up_whole(partition, Position(10 << 12))
    assert partition.state.digest() == whole.state.digest()
    assert isinstance(partition.state, Counters)
    assert restorer(snapshots).load(SOURCE, Position(5 << 12)).offset == 0, "it is newer"
