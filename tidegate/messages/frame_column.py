"""Frames of one layout as columns: their rows in one array, each part of their tails in another.

Between Tidegate's own steps a message is a block of frames, laid out like this:

    byte  field       bytes
       0  magic       12 bytes, "TGF1blocks.2" where rows are scored, else "TGF1blocks.1"; a process
                      that knows no blocks, or not this layout, stops at it
      12  count       u4, how many frames, from 1 to 4,096
      16  row_size    u4, bytes of a row
      20  rows        count * row_size bytes: the rows (see `tidegate.messages.frames`)
          ids         all ids, one behind the other; `id_len` of each row says how long its own is
          accounts    the same by `account_len`
          payloads    by `payload_len`
          reasons     by `reasons_len`

All numbers are little-endian. The block ends with its last byte of reasons.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from tidegate.errors import Stop
from tidegate.messages.texts import Texts

BLOCK_MAGIC, SCORED_BLOCK_MAGIC = b"TGF1blocks.1", b"TGF1blocks.2"
"""Blocks of scored rows were of the first layout too, in the version before."""
SCORED_MARK = b"TGS4"
"""How scored rows of this version begin."""
_READ = (BLOCK_MAGIC, SCORED_BLOCK_MAGIC)
_FAMILY = b"TGF1blocks."
_HEAD = struct.Struct("<12sII")
INDEX_BITS = 12
"""Of an index within a block: see `tidegate.broker.addresses`."""
MOST_FRAMES = 1 << INDEX_BITS
MOST_BYTES = 900_000
"""Bytes of a block, less than any broker's default limit; a single frame may be larger."""
LENGTH_NAMES = ("id_len", "account_len", "payload_len", "reasons_len")
LENGTHS = np.dtype(
    [
        ("prefix", "V12"),
        ("id_len", "<u2"),
        ("account_len", "<u2"),
        ("payload_len", "<u4"),
        ("reasons_len", "<u4"),
    ]
)
"""How a frame of any profile begins: up to the lengths of its tail."""


class FrameColumn(Sequence[bytes]):
    """n frames. An element is a frame's bytes, its row and its tail, made when it is asked for.

    `rows` u1[n, row size]; `ids`, `accounts`, `payloads`, `reasons` are the parts of the tails.
    """

    __slots__ = ("accounts", "ids", "payloads", "reasons", "rows")

    def __init__(
        self, rows: NDArray[np.uint8], ids: Texts, accounts: Texts, payloads: Texts, reasons: Texts
    ) -> None:
        self.rows = rows
        self.ids, self.accounts, self.payloads, self.reasons = ids, accounts, payloads, reasons

    @staticmethod
    def of_rows(rows: NDArray[Any], tails: Sequence[Texts]) -> FrameColumn:
        """Frames by rows of a layout's dtype, and the four parts of their tails."""
        contiguous = np.ascontiguousarray(rows)
        plain = contiguous.view(np.uint8).reshape(len(rows), rows.dtype.itemsize)
        return FrameColumn(plain, *tails)

    @staticmethod
    def of_frame(frame: bytes) -> FrameColumn:
        """One whole frame."""
        head = np.frombuffer(frame[: LENGTHS.itemsize], LENGTHS)
        lengths = [head[name].astype(np.int64) for name in LENGTH_NAMES]
        size = len(frame) - int(sum(length[0] for length in lengths))
        return _cut(frame, 0, 1, size, lengths)

    @staticmethod
    def joined(columns: Sequence[FrameColumn]) -> FrameColumn:
        """Several columns of one row size as one."""
        if len(columns) == 1:
            return columns[0]
        return FrameColumn(
            np.concatenate([column.rows for column in columns]),
            *(Texts.joined(tails) for tails in zip(*(c.tails for c in columns), strict=True)),
        )

    @property
    def tails(self) -> tuple[Texts, Texts, Texts, Texts]:
        """The parts of the tails, in their order."""
        return self.ids, self.accounts, self.payloads, self.reasons

    @property
    def row_size(self) -> int:
        """Bytes of a row."""
        return int(self.rows.shape[1])

    def rows_as(self, dtype: np.dtype[Any]) -> NDArray[Any]:
        """The rows, as a writable copy."""
        return np.ascontiguousarray(self.rows).copy().view(dtype).reshape(-1)

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[bytes]:
        rows = np.ascontiguousarray(self.rows).view(f"V{self.row_size}").reshape(-1).tolist()
        return map(b"".join, zip(rows, *(tail.texts for tail in self.tails), strict=True))

    @overload
    def __getitem__(self, index: int) -> bytes: ...
    @overload
    def __getitem__(self, index: slice) -> FrameColumn: ...
    def __getitem__(self, index: int | slice) -> bytes | FrameColumn:
        if isinstance(index, int):
            row = self.rows[index].tobytes()
            return b"".join([row, *(tail.texts[index] for tail in self.tails)])
        start, stop, step = index.indices(len(self))
        if step != 1:
            return self.take(np.arange(start, stop, step))
        stop = max(start, stop)
        return FrameColumn(self.rows[start:stop], *(tail.slice(start, stop) for tail in self.tails))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]  # equal to lists, which have none

    def take(self, indices: NDArray[np.intp]) -> FrameColumn:
        """The frames at these indices, in their order."""
        return FrameColumn(self.rows[indices], *(tail.take(indices) for tail in self.tails))

    def blocks(self) -> Iterator[bytes]:
        """All frames, in as few blocks as their size allows."""
        sizes = self.row_size + sum(tail.lengths for tail in self.tails)
        ends = np.cumsum(sizes)
        start = before = 0
        while start < len(self):
            stop = int(np.searchsorted(ends, before + MOST_BYTES - _HEAD.size, side="right"))
            stop = min(max(stop, start + 1), start + MOST_FRAMES)
            yield self[start:stop].block() if stop - start < len(self) else self.block()
            start, before = stop, int(ends[stop - 1])

    def block(self) -> bytes:
        """All frames in one block, however large."""
        rows = self.rows.tobytes()
        magic = SCORED_BLOCK_MAGIC if rows.startswith(SCORED_MARK) else BLOCK_MAGIC
        head = _HEAD.pack(magic, len(self), self.row_size)
        return b"".join([head, rows, *(tail.buffer for tail in self.tails)])


def read_block(value: bytes | None) -> FrameColumn | None:
    """The frames of a message that is a block; None where it is none, or is not whole."""
    if value is None or not value.startswith(_READ) or len(value) < _HEAD.size:
        return None
    _, count, size = _HEAD.unpack_from(value)
    if not 0 < count <= MOST_FRAMES or size < LENGTHS.itemsize:
        return None
    if _HEAD.size + count * size > len(value):
        return None
    rows = np.frombuffer(value, np.uint8, count * size, _HEAD.size).reshape(count, size)
    heads = np.ascontiguousarray(rows[:, : LENGTHS.itemsize]).view(LENGTHS).reshape(-1)
    lengths = [heads[name].astype(np.int64) for name in LENGTH_NAMES]
    total = _HEAD.size + count * size + sum(int(length.sum()) for length in lengths)
    return _cut(value, _HEAD.size, count, size, lengths) if total == len(value) else None


def _cut(
    value: bytes, start: int, count: int, size: int, lengths: Iterable[NDArray[np.int64]]
) -> FrameColumn:
    """The frames whose rows begin at `start`, and whose tails follow."""
    rows = np.frombuffer(value, np.uint8, count * size, start).reshape(count, size)
    end, tails = start + count * size, []
    for length in lengths:
        begin, end = end, end + int(length.sum())
        tails.append(Texts.cut(value[begin:end], length))
    return FrameColumn(rows, *tails)


def is_block(value: bytes | None) -> bool:
    """Whether a message begins like a block, of whatever version."""
    return value is not None and value.startswith(_FAMILY)


def refuse_other_version(value: bytes) -> None:
    """Raises Stop for a block of a version that this one does not read."""
    if not value.startswith(_READ):
        version = value[len(_FAMILY) : len(BLOCK_MAGIC)].decode("ascii", "replace")
        known = " and ".join(magic[len(_FAMILY) :].decode() for magic in _READ)
        raise Stop(
            f"this topic holds blocks of layout {version}, this process reads layouts "
            f"{known}: start the version of Tidegate that wrote them, and let its processes drain "
            "the topic before this one goes on (`tidegate status` shows their lag)"
        )
