from __future__ import annotations

import uuid
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
