"""Puts the rows of a file into the order of their event times, in bounded memory.

Windows look back from what has come before. Files are often newest first, or sorted by user; so a
file whose times go back is sorted: runs that fit into memory go to temporary files, and are merged.
"""

from __future__ import annotations

import heapq
import tempfile
from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import NamedTuple, TypeVar

import msgspec
import pyarrow as pa

from model.history.readers import Chunk, Source
from tidegate.profile import Profile
from tidegate.profile.field_types import time_us
from tidegate.profile.spec import SECOND, Windowed, pane_us

T = TypeVar("T")

RUN_BYTES = 64_000_000
"""Bytes of lines that are sorted in memory at a time."""
_MOST_RUNS = 64
_READ_ROWS = 1000
_LOOK_ROWS = 5000
_SCHEMA = pa.schema(
    [("time", pa.int64()), ("row", pa.int64()), ("id", pa.string()), ("line", pa.binary())]
)


class Row(NamedTuple):
    """A row with its event time (us) and its number in the file; rows order by these two."""

    time: int
    number: int
    id: str
    line: bytes


class Disorder(NamedTuple):
    """Of so many rows, how many are older than a row before them: at all, and by over a pane."""

    rows: int
    older: int
    far_older: int

    def said(self, profile: Profile, *, in_order: bool) -> list[str]:
        """What to tell the sender, if anything; `in_order`: the rows were sorted."""
        if in_order:
            older = f"{self.older:,} of {self.rows:,} rows"
            return [f"{older} were older than one before: sent in time order"]
        if not self.far_older:
            return []
        return [
            f"{self.far_older:,} of {self.rows:,} rows go back in time by more than "
            f"{smallest_pane(profile) // SECOND} s, the smallest pane: windows that should hold "
            "them may not; without --as-is they are sent in time order"
        ]


class Times:
    """The event times of lines, in us; a line without a good one has that of the line before."""

    def __init__(self, profile: Profile) -> None:
        self._name = profile.time_field or ""
        fields = [(self._name, datetime | int | float | None, None)] if self._name else []
        self._decode = msgspec.json.Decoder(msgspec.defstruct("Times", fields)).decode
        self._last = 0

    def of(self, line: bytes) -> int:
        """The time of the next line."""
        try:
            value = getattr(self._decode(line), self._name)
            if value is not None:
                self._last = time_us(value)
        except (msgspec.DecodeError, ValueError, RecursionError):
            pass  # the API says what is wrong with it
        return self._last


def disorder(source: Source, limit: int = 0) -> Disorder:
    """How far the first `limit` rows (0: all) are from being in time order."""
    if source.profile.time_field is None:
        return Disorder(0, 0, 0)
    times, pane = Times(source.profile), smallest_pane(source.profile)
    newest, rows, older, far_older = -(2**62), 0, 0, 0
    for row in _rows(source, times, limit):
        rows += 1
        older += row.time < newest
        far_older += row.time < newest - pane
        newest = max(newest, row.time)
    return Disorder(rows, older, far_older)


def smallest_pane(profile: Profile) -> int:
    """The width (us) of the narrowest pane of the profile's windows; 0 where it has none."""
    windows = [spec.window for spec in profile.computed.values() if isinstance(spec, Windowed)]
    return min(map(pane_us, windows), default=0)


def in_time_order(source: Source, folder: Path, size: int, limit: int = 0) -> Iterator[Chunk]:
    """The first `limit` rows (0: all) by event time, rows of one time as they stand in the file.

    At most `size` at a time; temporary files lie in `folder` until the end.
    """
    with tempfile.TemporaryDirectory(prefix="sort-", dir=folder) as runs:
        rows = _sorted(_rows(source, Times(source.profile), limit), Path(runs))
        for first, some in enumerate(_batched(rows, size)):
            yield Chunk(
                first * size,
                [row.id for row in some],
                [row.line for row in some],
                [row.number for row in some],
            )


def _rows(source: Source, times: Times, limit: int) -> Iterator[Row]:
    rows = (
        Row(times.of(line), chunk.row(i), name, line)
        for chunk in source.chunks(0, _LOOK_ROWS)
        for i, (name, line) in enumerate(zip(chunk.ids, chunk.lines, strict=True))
    )
    return islice(rows, limit or None)


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
