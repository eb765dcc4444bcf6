"""Puts the rows of a file into the order of their event times, in bounded memory.

Windows look back from what has come before. Files are often newest first, or sorted by user; so a
file whose times go back is sorted: runs that fit into memory go to temporary files, and are merged.
"""

from __future__ import annotations

import heapq
import tempfile
from collections.abc import Iterable, Iterator
from itertools import islice, starmap
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
import pyarrow as pa

from producers.files.outgoing import Outgoing

T = TypeVar("T")

RUN_BYTES = 32_000_000
"""Bytes of lines that are sorted in memory at a time."""
_MOST_RUNS = 64
_READ_ROWS = 1000
_SCHEMA = pa.schema(
    [("time", pa.int64()), ("row", pa.int64()), ("id", pa.string()), ("line", pa.binary())]
)


class Row(NamedTuple):
    """A row with its event time (us) and its number in the file; rows order by these two."""

    time: int
    number: int
    id: str
    line: bytes


def in_time_order(rows: Iterable[Outgoing], folder: Path, size: int) -> Iterator[Outgoing]:
    """The rows by event time, those of one time as they stand in the file.

    At most `size` at a time; temporary files lie in `folder` until the end.
    """
    with tempfile.TemporaryDirectory(prefix="sort-", dir=folder) as runs:
        for some in _batched(_sorted(_rows(rows), Path(runs)), size):
            yield Outgoing(
                np.array([row.number for row in some], np.int64),
                np.array([row.time for row in some], np.int64),
                [row.id for row in some],
                [row.line for row in some],
            )


def _rows(rows: Iterable[Outgoing]) -> Iterator[Row]:
    for some in rows:
        times, numbers = some.times.tolist(), some.numbers.tolist()
        yield from starmap(Row, zip(times, numbers, some.ids, some.lines, strict=True))


def _sorted(rows: Iterable[Row], folder: Path) -> Iterator[Row]:
    runs: list[Path] = []
    for number, run in enumerate(_runs(rows)):
        if len(runs) == _MOST_RUNS:
            runs = [_merge(runs, folder / f"{number}.merged")]
        runs.append(_write(sorted(run), folder / f"{number}.run"))
    return heapq.merge(*map(_read, runs))


def _runs(rows: Iterable[Row]) -> Iterator[list[Row]]:
    """The rows in lists that fit into memory."""
    run: list[Row] = []
    held = 0
    for row in rows:
        run.append(row)
        held += len(row.line)
        if held >= RUN_BYTES:
            yield run
            run, held = [], 0
    if run:
        yield run


def _merge(runs: list[Path], path: Path) -> Path:
    """One run of many, so that there are never more open files than `_MOST_RUNS`."""
    _write(heapq.merge(*map(_read, runs)), path)
    for run in runs:
        run.unlink()
    return path


def _batched(rows: Iterable[T], size: int) -> Iterator[list[T]]:
    """`itertools.batched`, which CPython 3.11 lacks, as lists."""
    rows = iter(rows)
    while some := list(islice(rows, size)):
        yield some


def _write(rows: Iterable[Row], path: Path) -> Path:
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, _SCHEMA) as writer:
        for some in _batched(rows, _READ_ROWS):
            columns = [list(column) for column in zip(*some, strict=True)]
            writer.write_batch(
                pa.record_batch(
                    [pa.array(c, f.type) for c, f in zip(columns, _SCHEMA, strict=True)],
                    schema=_SCHEMA,
                )
            )
    return path


def _read(path: Path) -> Iterator[Row]:
    with pa.OSFile(str(path)) as file:
        for batch in pa.ipc.open_stream(file):
            columns = [column.to_pylist() for column in batch.columns]
            yield from map(Row._make, zip(*columns, strict=True))
