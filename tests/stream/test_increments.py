"""Snapshots of what has changed: read after the ones before them, and lost with them alone."""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from tests.stream.toy import Counters, CountStage
from tidegate.broker.memory.broker import MemoryBroker
from tidegate.broker.records import Position, TopicPartition
from tidegate.stream import input_order
from tidegate.stream.input_order import Pair
from tidegate.stream.partition import Partition
from tidegate.stream.restore import Restorer
from tidegate.stream.snapshot import Snapshot, Snapshots
from tidegate.stream.snapshotter import Snapshotter

SOURCE = TopicPartition("in", 0)
PLACE = "toy", "tag", 0


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*.snap*"))


def name(offset: int, after: int | None = None) -> str:
    return f"{offset:020d}.snap" if after is None else f"{offset:020d}-{after:020d}.snap"


class Served:
    """A partition of the toy stage whose snapshots are written at once."""

    def __init__(self, folder: Path) -> None:
        self.snapshots = Snapshots(f"file://{folder}")
        self.partition = Partition(SOURCE, Counters(), 0)
        self.snapshotter = Snapshotter(
            self.snapshots, "toy", "tag", ThreadPoolExecutor(1), every=10
        )

    def go_on(self, offset: int) -> str:
        """Count an event of each offset up to this one; the digest."""
        state = self.partition.state
        assert isinstance(state, Counters)
        for at in range(self.partition.offset, offset):
            state.begin()
            state.add(at % 3, at)
            state.commit()
        self.partition.unsaved += offset - self.partition.offset
        self.partition.offset = offset
        assert self.snapshotter.consider(self.partition)
        self.snapshotter.harvest(wait=True)
        return state.digest()

    def restored(self, committed: int) -> Partition:
        broker = MemoryBroker({"in": 1})
        restorer = Restorer(
            CountStage(),
            broker.consumer(None),
            None,
            self.snapshots,
            partitions=1,
            tag="tag",
            batch=10,
        )
        return restorer.load(SOURCE, Position(committed))


def test_the_newest_two_that_share_no_file_are_kept(tmp_path: Path) -> None:
    served = Served(tmp_path)
    for offset in (10, 20, 30, 40, 50):
        served.go_on(offset)
    second = [name(40), name(50, 40)]
    assert names(tmp_path) == [name(10), name(20, 10), name(30, 20), *second]
    assert [each.offset for each in served.partition.snapshots] == [30, 50]
    for offset in (60, 70, 80):
        served.go_on(offset)
    assert names(tmp_path) == [*second, name(60, 50), name(70), name(80, 70)]


def test_any_of_them_is_restored_as_it_was(tmp_path: Path) -> None:
    served = Served(tmp_path)
    digests = {offset: served.go_on(offset) for offset in (10, 20, 30, 40, 50)}
    for offset, digest in digests.items():
        restored = served.restored(offset + 5)
        assert (restored.offset, restored.state.digest()) == (offset, digest)
        assert restored.copied == offset


@pytest.mark.parametrize(
    ("hurt", "found"), [((50, 40), 40), ((40, None), 30), ((20, 10), 50), ((10, None), 50)]
)
@pytest.mark.parametrize("how", ["damaged", "missing"])
def test_one_that_is_hurt_takes_those_after_it_along_and_no_other(
    tmp_path: Path, hurt: tuple[int, int | None], found: int, how: str
) -> None:
    served = Served(tmp_path)
    digests = {offset: served.go_on(offset) for offset in (10, 20, 30, 40, 50)}
    (file,) = tmp_path.rglob(name(*hurt))
    if how == "missing":
        file.unlink()
    else:
        content = bytearray(file.read_bytes())
        content[-1] ^= 1
        file.write_bytes(content)
    restored = served.restored(50)
    assert (restored.offset, restored.state.digest()) == (found, digests[found])
    if how == "damaged" and hurt[0] > 20:
        assert file.with_name(f"{file.name}.damaged").exists()


def test_with_the_first_one_gone_the_fold_begins_anew(tmp_path: Path) -> None:
    served = Served(tmp_path)
    served.go_on(10)
    served.go_on(20)
    (tmp_path.joinpath(*map(str, PLACE)) / name(10)).write_bytes(b"torn")
    assert served.restored(20).offset == 0


def test_changes_after_one_that_was_not_written_are_not_taken_for_all(tmp_path: Path) -> None:
    """A write fails, or its folder is emptied: the next one is whole."""
    served = Served(tmp_path)
    served.go_on(10)
    (tmp_path.joinpath(*map(str, PLACE)) / name(10)).unlink()
    served.go_on(20)
    assert names(tmp_path) == [], "what it should come after is gone"
    digest = served.go_on(30)
    assert names(tmp_path) == [name(30)]
    assert served.restored(30).state.digest() == digest


def test_a_partition_that_was_parked_while_one_was_written_begins_with_a_whole_one(
    tmp_path: Path,
) -> None:
    served = Served(tmp_path)
    served.go_on(10)
    parked = served.partition.parked()
    served.go_on(20)  # durable, but the partition that was given back does not know
    parked.offset, parked.copied = 20, served.partition.copied
    served.partition = parked
    served.go_on(30)
    assert name(30) in names(tmp_path)


def test_a_long_note_becomes_shorter_by_whole_ones(tmp_path: Path) -> None:
    served = Served(tmp_path)
    served.go_on(10)
    served.partition.pairs = [Pair(at * 1000, at * 1000) for at in range(1, 600)]
    assert len(input_order.encode(served.partition.pairs)) > input_order.LONG
    served.go_on(20)
    assert names(tmp_path) == [name(10), name(20)]


def test_a_whole_one_takes_the_place_of_one_at_its_offset(tmp_path: Path) -> None:
    served = Served(tmp_path)
    served.go_on(10)
    served.go_on(20)
    served.partition.pairs = [Pair(at * 1000, at * 1000) for at in range(1, 600)]
    digest = served.go_on(20)
    assert names(tmp_path) == [name(10), name(20)]
    assert served.restored(20).state.digest() == digest


def test_what_comes_after_one_that_is_not_there_is_refused() -> None:
    snapshots = Snapshots(f"memory://{uuid.uuid4().hex}")
    arrays = {"which": np.arange(0), "changed": np.zeros((0, 2), np.int64)}
    with pytest.raises(FileNotFoundError, match="comes after"):
        snapshots.save(*PLACE, Snapshot(20, 0, arrays, after=10))
    assert snapshots.offsets(*PLACE) == []


def test_a_last_one_of_who_was_replaced_counts_for_no_chain_of_its_own(tmp_path: Path) -> None:
    """Both go on from one base: the newer end is kept, and with it another chain, not the other."""
    snapshots = Snapshots(f"file://{tmp_path}")
    for offset, after in ((90, None), (100, None), (300, 100), (350, 300), (450, 300)):
        snapshots.save(*PLACE, Snapshot(offset, 0, {"a": np.zeros(1)}, after))
    assert names(tmp_path) == [name(90), name(100), name(300, 100), name(450, 300)]
