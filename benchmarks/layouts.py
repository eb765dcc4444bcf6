"""What it costs to write and to read a block of transactions: our own layout beside Arrow IPC.

    python -m benchmarks.layouts

Arrow IPC is written and read by nanoarrow where that is installed (it is no dependency of
Tidegate's): once with a row's numbers as one fixed-size binary column, once with a column each.
Reading ends with the rows, and with every text as an object.
"""

from __future__ import annotations

import importlib.util
import io
import time
from collections.abc import Callable
from functools import partial
from statistics import median
from typing import Any

import numpy as np

from tidegate.messages.frame_column import FrameColumn, read_block
from tidegate.messages.frames import FrameLayout, Frames

VALUES = 30
LAYOUT = FrameLayout(b"abcd1234", steps=2, keys=2, values=VALUES)
SIZES = (10, 100, 1000)
_SECONDS = 0.5

Layout = tuple[Callable[[Frames], bytes], Callable[[bytes], object]]


def frames_of(count: int) -> Frames:
    """Transactions with tails of some 190 bytes."""
    rows = LAYOUT.empty(count)
    rows["values"] = np.random.default_rng(1).normal(size=(count, VALUES))
    ids = [f"transaction-{i:08d}".encode() for i in range(count)]
    accounts = [f"user_{i % 97:07d}".encode() for i in range(count)]
    return Frames(rows, ids, accounts, [b"x" * 158] * count, [b""] * count)


def write_own(frames: Frames) -> bytes:
    """A block of ours."""
    return LAYOUT.pack(frames).block()


def read_own(block: bytes) -> object:
    """Its rows, and all texts as objects."""
    column = read_block(block)
    if column is None:
        raise ValueError("the block is not whole")
    return column.rows_as(LAYOUT.dtype), [tail.texts for tail in column.tails]


def arrow_bytes() -> Layout:
    """A row as one value of fixed size, and the parts of the tail as binary columns."""
    na: Any = importlib.import_module("nanoarrow")
    row = na.fixed_size_binary(LAYOUT.dtype.itemsize)
    schema = na.struct({"row": row} | dict.fromkeys(("id", "account", "payload"), na.binary()))

    def write(frames: Frames) -> bytes:
        packed = frames.rows.view(f"V{LAYOUT.dtype.itemsize}").tolist()
        children = [
            na.c_array(packed, row),
            *(na.c_array(c, na.binary()) for c in (frames.ids, frames.accounts, frames.payloads)),
        ]
        return _stream(na, schema, len(packed), children)

    def read(message: bytes) -> object:
        struct = _array(na, message)
        rows = np.frombuffer(struct.child(0).view().buffer(1), LAYOUT.dtype)
        return rows, [na.Array(struct.child(k)).to_pylist() for k in (1, 2, 3)]

    return write, read


def arrow_columns() -> Layout:
    """A column for each number."""
    na: Any = importlib.import_module("nanoarrow")
    names = [f"v{k}" for k in range(VALUES)]
    fixed = dict.fromkeys(names, na.float64())
    schema = na.struct(fixed | dict.fromkeys(("id", "account", "payload"), na.binary()))

    def write(frames: Frames) -> bytes:
        values = frames.rows["values"]
        children = [
            *(na.c_array(np.ascontiguousarray(values[:, k])) for k in range(VALUES)),
            *(na.c_array(c, na.binary()) for c in (frames.ids, frames.accounts, frames.payloads)),
        ]
        return _stream(na, schema, len(values), children)

    def read(message: bytes) -> object:
        struct = _array(na, message)
        columns = [np.frombuffer(struct.child(k).view().buffer(1), "<f8") for k in range(VALUES)]
        tails = [na.Array(struct.child(VALUES + k)).to_pylist() for k in range(3)]
        return np.stack(columns, axis=1), tails

    return write, read


def _stream(na: Any, schema: Any, count: int, children: list[Any]) -> bytes:  # noqa: ANN401 - nanoarrow has no types
    ipc: Any = importlib.import_module("nanoarrow.ipc")
    array = na.c_array_from_buffers(schema, count, [None], children=children)
    out = io.BytesIO()
    with ipc.StreamWriter.from_writable(out) as writer:
        writer.write_stream(na.c_array_stream(array))
    return out.getvalue()


def _array(na: Any, message: bytes) -> Any:  # noqa: ANN401 - nanoarrow has no types
    ipc: Any = importlib.import_module("nanoarrow.ipc")
    (array,) = na.c_array_stream(ipc.InputStream.from_readable(message))
    return array


def micros(call: Callable[[], object], rows: int) -> float:
    """Microseconds a row, the median of many calls."""
    times, end = [], time.perf_counter() + _SECONDS
    while time.perf_counter() < end or len(times) < 5:
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return median(times) / rows * 1e6


def main() -> None:
    """Print the table."""
    layouts: dict[str, Layout] = {"own": (write_own, read_own)}
    if importlib.util.find_spec("nanoarrow"):
        layouts |= {"Arrow IPC, rows as bytes": arrow_bytes()}
        layouts |= {"Arrow IPC, a column each": arrow_columns()}
    print("| layout | " + " | ".join(f"{size:,} rows" for size in SIZES) + " |")
    print("|---|" + "---|" * len(SIZES))
    for name, (write, read) in layouts.items():
        cells = []
        for size in SIZES:
            frames = frames_of(size)
            message = write(frames)
            told = (
                micros(partial(write, frames), size),
                micros(partial(read, message), size),
            )
            cells.append(" / ".join(f"{each:.2f}" for each in told))
        print(f"| {name} | " + " | ".join(cells) + " |")
    column = FrameColumn.joined([LAYOUT.pack(frames_of(100))])
    print(f"\na row has {column.row_size} bytes, a block of 100 rows {len(column.block()):,}")


if __name__ == "__main__":
    main()
