"""The stage alone: which messages become rows, and why the others do not."""

from __future__ import annotations

import numpy as np
import pytest

from db.rows import ScoredRows, by_id
from tests.db.scored import LAYOUT, STAGE, batch_of, frames, values
from tidegate.broker.records import Batch
from tidegate.errors import Stop
from tidegate.messages.frames import FrameLayout, Frames
from tidegate.stream.stage import Output


def process(batch: Batch) -> Output:
    return STAGE.process(STAGE.new_state(0, 1), batch)


def _broken(**change: bytes | int | float) -> bytes:
    """One frame with one part changed."""
    made = frames(["x"])
    for name, value in change.items():
        if name in ("ids", "accounts", "payloads", "reasons"):
            setattr(made, name, [value])
        else:
            made.rows[name] = value
    return LAYOUT.pack(made)[0]


def test_whole_frames_become_rows_and_know_where_they_stood() -> None:
    output = process(batch_of([None, *values(["a"]), b"x", *values(["b"])]))
    assert isinstance(output.rows, ScoredRows)
    assert (output.rows.frames.ids, output.rows.indexes) == ([b"a", b"b"], [1, 3])
    assert [(reject.index, reject.reason) for reject in output.rejects] == [
        (0, "not_a_frame"),
        (2, "not_a_frame"),
    ]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"ids": b"a\0b"}, "NUL"),
        ({"accounts": b"\xff"}, "UTF-8"),
        ({"payloads": b"\xed\xa0\x80"}, "UTF-8"),
        ({"ids": b""}, "no id"),
        ({"ids": b"a" * 2_001}, "2001 bytes"),
        ({"decision": 3}, "decision 3"),
        ({"score": np.nan}, "score nan"),
        ({"bundle": b"\xff"}, "UTF-8"),
    ],
)
def test_what_no_database_stores_is_rejected_alone(
    change: dict[str, bytes | int | float], told: str
) -> None:
    output = process(batch_of([*values(["a"]), _broken(**change), *values(["b"])]))
    assert isinstance(output.rows, ScoredRows)
    assert (output.rows.frames.ids, output.rows.indexes) == ([b"a", b"b"], [0, 2])
    (reject,) = output.rejects
    assert (reject.index, reject.reason) == (1, "not_storable")
    assert told in reject.detail


def test_a_batch_without_one_good_frame_has_no_rows() -> None:
    assert process(batch_of([None, _broken(ids=b"")])).rows is None


def test_frames_of_another_profile_stop_the_process() -> None:
    other = FrameLayout(b"ffff0000", steps=2, keys=2, values=2, scores=2)
    made = frames(["a"])
    rows = other.empty(1)
    with pytest.raises(Stop, match="drain"):
        process(batch_of(list(other.pack(Frames(rows, made.ids, [b""], [b""], [b""])))))


def test_the_first_of_each_id_and_the_later_ones() -> None:
    first, again = by_id([b"b", b"a", b"b", b"a", b"c", b"b"])
    assert (first.tolist(), again.tolist()) == ([1, 0, 4], [3, 2, 5])
