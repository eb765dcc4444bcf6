"""The rows that frames begin with: their fields, and the forms of versions before this one.

Before there were blocks, frames counted messages where they count addresses now ("TGF1", "TGS2");
before there were policies, scored rows ended with the scores ("TGS2", "TGS3").
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tidegate.messages.frame_column import INDEX_BITS, LENGTH_NAMES, LENGTHS, FrameColumn
from tidegate.messages.frame_marks import ALONE, RULELESS, SCORED_MAGIC

NONE = -1
"""The offset, partition or time of something that has not happened."""
STEP = np.dtype([("partition", "<i4"), ("offset", "<i8"), ("labels", "<i8"), ("time_us", "<i8")])
"""What each keyed step leaves in a frame: its input's partition and offset, the next labels offset,
the time in us.
"""
HEAD: list[Any] = [
    ("magic", "<u4"),
    ("profile", "S8"),
    ("id_len", "<u2"),
    ("account_len", "<u2"),
    ("payload_len", "<u4"),
    ("reasons_len", "<u4"),
    ("body_hash", "V16"),
    ("event_us", "<i8"),
    ("ingest_us", "<i8"),
    ("amount_minor", "<i8"),
]
"""The fields that the rows of all profiles begin with."""
_POLICY: list[Any] = [("policy", "S16"), ("rule_hits", "V16"), ("model_decision", "u1")]


def _fields(steps: int, keys: int, values: int, scores: int) -> list[Any]:
    fields = [
        *HEAD,
        ("steps", STEP, (steps,)),
        ("keys", "<u8", (keys,)),
        ("values", "<f8", (values,)),
    ]
    if scores:
        fields += [
            ("features_partition", "<i4"),
            ("features_offset", "<i8"),
            ("scored_us", "<i8"),
            ("bundle", "S16"),
            ("models_offset", "<i8"),
            ("online_labels", "<i8"),
            ("decision", "u1"),
            ("score", "<f8"),
            ("scores", "<f8", (scores,)),
        ]
    return fields


class RowForms:
    """The rows of one profile: `dtype` is this version's form, `before` that without policies."""

    def __init__(self, magic: int, steps: int, keys: int, values: int, scores: int) -> None:
        fields = _fields(steps, keys, values, scores)
        self._scored, self._magic = bool(scores), magic
        self.before = np.dtype(fields)
        self.dtype = np.dtype([*fields, *_POLICY]) if scores else self.before
        earlier = {ALONE[magic]: self.before} | ({RULELESS: self.before} if scores else {})
        self.by_magic = {magic: self.dtype} | earlier
        """Each form by what its frames begin with."""
        self.marks = tuple(known.to_bytes(4, "little") for known in self.by_magic)
        self.block_sizes = {self.dtype.itemsize, self.before.itemsize}
        """Bytes of a row in blocks that can be read."""

    def size_of(self, frame: bytes) -> int:
        """Bytes of the row of a frame that begins with one of the marks."""
        return self.by_magic[int.from_bytes(frame[:4], "little")].itemsize

    def sizes(self, magics: NDArray[np.uint32]) -> NDArray[np.int64]:
        """The same of many."""
        if not self._scored:
            return np.full(len(magics), self.dtype.itemsize, np.int64)
        short, long = self.before.itemsize, self.dtype.itemsize
        return np.where(magics == SCORED_MAGIC, long, short)

    def read(self, frames: Sequence[bytes]) -> NDArray[Any]:
        """The rows of whole frames in this version's form, as a writable copy.

        Messages' offsets become addresses; where there was no policy, the decision is the model's.
        """
        if isinstance(frames, FrameColumn):
            return self._read_block(frames)
        size = self.dtype.itemsize
        whole = [frame[: self.size_of(frame)].ljust(size, b"\0") for frame in frames]
        rows = np.frombuffer(bytearray().join(whole), self.dtype)
        self._bring_up(rows)
        return rows

    def _read_block(self, frames: FrameColumn) -> NDArray[Any]:
        if frames.row_size == self.dtype.itemsize:
            rows = frames.rows_as(self.dtype)
        else:
            wide = np.zeros((len(frames), self.dtype.itemsize), np.uint8)
            wide[:, : frames.row_size] = frames.rows
            rows = wide.view(self.dtype).reshape(-1)
        self._bring_up(rows)
        return rows

    def _bring_up(self, rows: NDArray[Any]) -> None:
        old = np.flatnonzero(rows["magic"] != self._magic)
        if not len(old):
            return
        self._count_addresses(rows, old[rows["magic"][old] == ALONE[self._magic]])
        if self._scored:
            rows["model_decision"][old] = rows["decision"][old]
        rows["magic"][old] = self._magic

    def _count_addresses(self, rows: NDArray[Any], alone: NDArray[np.intp]) -> None:
        """The first step's input is the raw topic, where an address is an offset."""
        later = rows["steps"]["offset"][alone, 1:]
        rows["steps"]["offset"][alone, 1:] = np.where(later == NONE, NONE, later << INDEX_BITS)
        if self._scored:
            rows["features_offset"][alone] <<= INDEX_BITS

    def whole(self, frame: bytes) -> int:
        """How many bytes the lengths in a frame's row say that it has; its row has to be there."""
        head = np.frombuffer(frame[: LENGTHS.itemsize], LENGTHS)[0]
        return self.size_of(frame) + sum(int(head[name]) for name in LENGTH_NAMES)
