"""What a block keeps of each row, as a numpy record."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from tidegate.messages.frames import Frames

ROW = np.dtype(
    [
        ("seq", "<i8"),
        ("event_us", "<i8"),
        ("amount_minor", "<i8"),
        ("score", "<f4"),
        ("second", "<u4"),
        ("bundle", "<u4"),
        ("decision", "u1"),
    ]
)
"""Rounded and shortened: a block says which rows may be meant, the rows themselves decide.

`second`: the low half of the second entity's hash, 0 without one; `bundle`: `code` of its name.
"""
Rows = NDArray[Any]
SMALL, FULL = 512, 4096
"""Blocks of fewer rows than `SMALL` are merged with neighbours, until they have `FULL` or more."""


class Range(NamedTuple):
    """Where a block lies: its rows' `seq`, both inclusive, and their number."""

    first_seq: int
    last_seq: int
    rows: int


def code(bundle: str) -> int:
    """Four bytes that stand for a bundle's name."""
    return crc32(bundle.encode())


def of_frames(frames: Frames, chosen: NDArray[np.intp], seqs: NDArray[np.int64]) -> Rows:
    """The frames `chosen`, whose rows have these `seqs` i8[n], ascending."""
    rows, source = np.zeros(len(chosen), ROW), frames.rows
    rows["seq"] = seqs
    with np.errstate(over="ignore"):  # a score that f4 cannot hold is infinite
        for name in ("event_us", "amount_minor", "score", "decision"):
            rows[name] = source[name][chosen]
    if source["keys"].shape[1] > 1:
        rows["second"] = low_half(source["keys"][chosen, 1])
    rows["bundle"] = _codes(source["bundle"][chosen].tolist())
    return rows


def _codes(bundles: list[bytes]) -> int | list[int]:
    codes = {name: code(name.decode()) for name in set(bundles)}
    return codes.popitem()[1] if len(codes) == 1 else [codes[name] for name in bundles]


def low_half(hashes: NDArray[np.uint64]) -> NDArray[np.uint32]:
    """The low 32 bits of hashes u8[n]."""
    return (hashes & np.uint64(0xFFFFFFFF)).astype(np.uint32)


def unpack(content: bytes) -> Rows:
    """The rows of a block; they cannot be written to."""
    return np.frombuffer(content, ROW)


def document(rows: Rows) -> dict[str, Any]:
    """The row of table `search_blocks` for these rows, at least one."""
    return {
        "first_seq": int(rows["seq"].min()),
        "last_seq": int(rows["seq"].max()),
        "rows": len(rows),
        "min_event_us": int(rows["event_us"].min()),
        "max_event_us": int(rows["event_us"].max()),
        "min_score": float(rows["score"].min()),
        "max_score": float(rows["score"].max()),
        "content": rows.tobytes(),
    }


def runs(ranges: Iterable[Range]) -> Iterator[list[Range]]:
    """Neighbours that are to be merged, in the order given: of the blocks of each run at least one
    in four is small, so that not many rows are written again for few small blocks.
    """
    run: list[Range] = []
    for each in ranges:
        if each.rows < FULL:
            run.append(each)
        if each.rows >= FULL or sum(one.rows for one in run) >= FULL:
            if _pays(run):
                yield run
            run = []
    if _pays(run):
        yield run


def _pays(run: Sequence[Range]) -> bool:
    return len(run) > 1 and 4 * sum(each.rows < SMALL for each in run) >= len(run)
