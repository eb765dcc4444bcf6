"""The file of refused rows: each with its number and what is wrong, ready to be mended and sent."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv

from model.files.rows import REFUSAL_COLUMNS, Refusal, Rows
from tidegate.errors import ConfigError

_LINE = "line"
"""The one column of JSON lines."""


class Rejects:
    """Writes refused rows into `path`, there only if there are any, for its owner only.

    A table's rows become CSV, with `REFUSAL_COLUMNS` before the columns of the file; JSON lines
    become JSON lines with these fields before theirs. What one reader writes, the reader of files
    reads, whatever the profile says of other files' separators. `source` is what is sent.

    Raises ConfigError where another file would be overwritten.
    """

    def __init__(self, path: Path, source: str) -> None:
        self.path = path
        self._check(source)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        self._names: list[str] = []
        self._file: pa.NativeFile | None = None
        self._csv: pa_csv.CSVWriter | None = None

    def _check(self, source: str) -> None:
        if not self.path.exists():
            return
        if Path(source).exists() and self.path.samefile(source):
            raise ConfigError(f"{self.path} is the file to send: name another one by --rejects")
        with self.path.open("rb") as file:
            start = file.read(64).lstrip(b'{"')
        if start and not start.startswith(REFUSAL_COLUMNS[0].encode()):
            raise ConfigError(
                f"{self.path} is there, and holds no refused rows: name another file by --rejects"
            )

    def add(self, rows: Rows, refused: Sequence[Refusal]) -> None:
        """Write those of the rows that are refused."""
        if not refused:
            return
        cells = _cells_of(rows, refused)
        if cells.schema.names == [_LINE]:
            self._add_lines(cells.column(0).to_pylist(), refused)
        else:
            self._add_cells(cells, refused)

    def _add_cells(self, cells: pa.RecordBatch, refused: Sequence[Refusal]) -> None:
        columns = {
            **dict(zip(REFUSAL_COLUMNS, _told(refused), strict=True)),
            **{
                name: cells.column(place)
                for place, name in enumerate(cells.schema.names)
                if name not in REFUSAL_COLUMNS
            },
        }
        if self._csv is None:
            schema = pa.schema([(name, pa.string()) for name in columns])
            self._csv = pa_csv.CSVWriter(self._open(), schema)
            self._names = list(columns)
        none = pa.nulls(len(refused), pa.string())
        arrays = [columns.get(name, none).cast(pa.string()) for name in self._names]
        self._csv.write_batch(pa.record_batch(arrays, names=self._names))

    def _add_lines(self, lines: Sequence[str | None], refused: Sequence[Refusal]) -> None:
        file = self._open()
        told = zip(*(column.to_pylist() for column in _told(refused)), strict=True)
        for line, words in zip(lines, told, strict=True):
            row = dict(zip(REFUSAL_COLUMNS, words, strict=True))
            file.write(msgspec.json.encode({**row, **_object(line or "")}) + b"\n")

    def _open(self) -> pa.NativeFile:
        if self._file is None:
            self.path.touch(0o600)  # rows are plain, whatever the profile keeps as tokens
            self._file = pa.OSFile(str(self.path), "wb")
        return self._file

    def close(self) -> None:
        if self._csv is not None:
            self._csv.close()
        if self._file is not None:
            self._file.close()


def _cells_of(rows: Rows, refused: Sequence[Refusal]) -> pa.RecordBatch:
    """The rows as they stand in the file."""
    place = {number: i for i, number in enumerate(rows.numbers.tolist())}
    return rows.cells.take(pa.array([place[one.number] for one in refused], pa.int64()))


def _told(refused: Iterable[Refusal]) -> list[pa.Array]:
    return [pa.array([str(value) for value in column]) for column in zip(*refused, strict=True)]


def _object(line: str) -> dict[str, Any]:
    """The fields of a JSON object; of what is none, the text in a field of its own."""
    try:
        row = msgspec.json.decode(line)
    except (msgspec.DecodeError, RecursionError):
        row = None
    if not isinstance(row, dict):
        return {"refused_line": line}
    return {name: value for name, value in row.items() if name not in REFUSAL_COLUMNS}


def shown(rows: Rows, refused: Sequence[Refusal]) -> dict[int, str]:
    """The cells of refused rows for a terminal, by row number."""
    numbers = np.array([one.number for one in refused])
    cells = _cells_of(rows, refused)
    return {
        int(number): ", ".join(f"{name}={value!r}" for name, value in row.items() if value)
        for number, row in zip(numbers, cells.to_pylist(), strict=True)
    }
