from __future__ import annotations

import os
import time
import uuid
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.stream import input_order
from tidegate.stream.input_order import Pair
from tidegate.stream.snapshot import DamagedSnapshotError, Snapshot, Snapshots, decode, encode

ROW = np.dtype(
    [("key", "<u8"), ("panes", [("count", "<i8"), ("sum", "<i8")], (3,)), ("name", "S4")]
)


def sample(offset: int = 7) -> Snapshot:
    rows = np.zeros(5, ROW)
    rows["key"], rows["panes"]["sum"], rows["name"] = np.arange(5), 9, b"abc"
    return Snapshot(
        offset,
        3,
        {
            "rows": rows,
            "none": np.zeros((0, 4)),
            "bits": np.array([True, False]),
            "every_other": np.arange(10)[::2],
            "one": np.array(3.5),
        },
    )


def assert_equal(found: Snapshot, expected: Snapshot) -> None:
    assert found[:2] == expected[:2]
    assert list(found.arrays) == list(expected.arrays)
    for name, array in expected.arrays.items():
        assert found.arrays[name].dtype == array.dtype
        np.testing.assert_array_equal(found.arrays[name], array)
        assert found.arrays[name].flags.writeable


@pytest.mark.parametrize("scheme", ["memory", "file"])
def test_what_is_saved_is_loaded_and_two_are_kept(scheme: str, tmp_path: Path) -> None:
    snapshots = Snapshots(
        f"memory://{uuid.uuid4().hex}" if scheme == "memory" else f"file://{tmp_path}/made/later"
    )
    assert snapshots.offsets("s", "t", 0) == []
    for offset in (5, 100, 9):
        snapshots.save("s", "t", 0, sample(offset))
    assert snapshots.offsets("s", "t", 0) == [100, 9]
    assert snapshots.offsets("s", "t", 1) == snapshots.offsets("s", "u", 0) == []
    assert_equal(snapshots.load("s", "t", 0, 9), sample(9))
    snapshots.set_aside("s", "t", 0, 100)
    assert snapshots.offsets("s", "t", 0) == [9]
    assert not list(tmp_path.rglob("*.part"))


@given(st.data())
def test_any_damage_is_noticed(data: st.DataObject) -> None:
    content = bytearray(b"".join(encode(sample())))
    if data.draw(st.booleans()):
        del content[data.draw(st.integers(0, len(content) - 1)) :]
    else:
        content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    with pytest.raises(DamagedSnapshotError):
        decode(content)


def test_objects_are_refused() -> None:
    with pytest.raises(TypeError, match="holds objects"):
        list(encode(Snapshot(0, 0, {"x": np.array([object()])})))


@given(st.lists(st.tuples(st.integers(0, 10**12), st.integers(1, 10**9)), max_size=20))
def test_notes_come_back_as_they_were(steps: list[tuple[int, int]]) -> None:
    pairs, offset, side = list[Pair](), 0, 0
    for more_offset, more_side in steps:
        offset, side = offset + more_offset, side + more_side
        pairs.append(Pair(offset, side))
    assert input_order.decode(input_order.encode(pairs)) == pairs
    for index, pair in enumerate(pairs):
        assert input_order.after(pairs, pair.side) == pairs[index + 1 :]


def test_five_hundred_pairs_fit_into_a_note() -> None:
    pairs = [Pair(1_000_000 + 900 * at, 50_000 + 9 * at) for at in range(500)]
    assert len(input_order.encode(pairs)) < input_order.FULL


def test_a_snapshot_is_on_the_disk_before_it_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a loss of power a name without content would be taken for the newest snapshot."""
    synced: list[tuple[str, list[str]]] = []
    sync = os.fsync

    def noting(descriptor: int) -> None:
        sync(descriptor)
        file = Path(f"/proc/self/fd/{descriptor}").readlink()
        synced.append((file.name, sorted(path.name for path in tmp_path.rglob("*.snap*"))))

    monkeypatch.setattr(os, "fsync", noting)
    Snapshots(f"file://{tmp_path}").save("s", "t", 0, sample(7))
    name = f"{7:020d}.snap"
    assert synced == [(f"{name}.part", [f"{name}.part"]), ("0", [name])]


@pytest.mark.parametrize("scheme", ["memory", "file"])
def test_tags_that_nobody_uses_any_more_are_removed(scheme: str, tmp_path: Path) -> None:
    url = f"memory://{uuid.uuid4().hex}" if scheme == "memory" else f"file://{tmp_path}"
    for tag in ("old", "recent"):
        Snapshots(url).save("s", tag, 0, sample())
    Snapshots(url).save("other", "old", 0, sample())
    eight_days_ago = time.time() - 8 * 86_400
    for stage in ("s", "other"):
        if scheme == "file":
            os.utime(tmp_path / stage / "old" / "0" / f"{7:020d}.snap", (eight_days_ago,) * 2)
        else:
            files = Snapshots(url)._files
            path = f"{Snapshots(url)._root}/{stage}/old/0/{7:020d}.snap"
            files.store[path].modified -= timedelta(days=8)
    Snapshots(url).save("s", "new", 0, sample())
    left = {tag: Snapshots(url).offsets("s", tag, 0) for tag in ("old", "recent", "new")}
    assert left == {"old": [], "recent": [7], "new": [7]}
    assert Snapshots(url).offsets("other", "old", 0) == [7], "of another stage"
