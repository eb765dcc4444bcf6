"""Files of transactions (CSV, Parquet, JSON lines) as a stream of JSON lines with ids."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from tidegate.errors import ConfigError
from tidegate.profile import Field, Profile

_LABELS = ("label", "is_fraud", "fraud")
_BOOLS = {"true": True, "false": False, "1": True, "0": False}
_encode = msgspec.json.Encoder().encode


@dataclass(slots=True)
class Chunk:
    """Rows `first`, `first` + 1, ... of a file: their ids, and each as one line of JSON.

    Where they were put into another order, `numbers` says which rows of the file they are.
    """

    first: int
    ids: list[str]
    lines: list[bytes]
    numbers: list[int] | None = None

    def row(self, i: int) -> int:
        """The number in the file, from 0 on, of the chunk's row `i`."""
        return self.first + i if self.numbers is None else self.numbers[i]

    def cut(self, start: int, stop: int) -> Chunk:
        """Rows `start` to `stop` of the chunk."""
        numbers = None if self.numbers is None else self.numbers[start:stop]
        return Chunk(self.first + start, self.ids[start:stop], self.lines[start:stop], numbers)


@dataclass
class Source:
    """One file read as transactions of a profile.

    Columns the profile does not know are left out and named in `unknown`. A row without an id gets
    one made of the file's digest and the row's number, so that sending it again makes no second
    transaction.
    """

    path: Path
    profile: Profile
    digest: str = ""
    total: int | None = None
    unknown: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        try:
            with self.path.open("rb") as file:
                self.digest = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise ConfigError(f"cannot read {self.path}: {error.strerror}") from error
        if self.kind == "parquet":
            self.total = int(self._parquet().metadata.num_rows)

    @property
    def kind(self) -> str:
        """One of csv, parquet, jsonl, by the file's name. Raises ConfigError for another."""
        kinds = {
            ".csv": "csv",
            ".parquet": "parquet",
            ".pq": "parquet",
            ".jsonl": "jsonl",
            ".ndjson": "jsonl",
        }
        kind = kinds.get(self.path.suffix.lower())
        if kind is None:
            raise ConfigError(
                f"{self.path}: do not know this kind of file; send {', '.join(kinds)}"
            )
        return kind

    def chunks(self, start: int, size: int) -> Iterator[Chunk]:
        """Rows from number `start` (from 0) on, at most `size` at a time.

        Raises ConfigError for a missing column.
        """
        if self.kind == "jsonl":
            yield from self._json_chunks(start, size)
        else:
            yield from self._table_chunks(start, size)

    def _parquet(self) -> pq.ParquetFile:
        try:
            return pq.ParquetFile(self.path)
        except pa.ArrowInvalid as error:
            raise ConfigError(f"{self.path}: {error}") from error

    def _tables(self, size: int) -> Iterable[pa.RecordBatch]:
        if self.kind == "parquet":
            return self._parquet().iter_batches(batch_size=size)  # type: ignore[no-any-return]
        try:
            with self.path.open("rb") as file:
                header = pa_csv.read_csv(pa.BufferReader(file.readline() or b"\n")).schema.names
            return pa_csv.open_csv(  # type: ignore[no-any-return]
                self.path,
                convert_options=pa_csv.ConvertOptions(
                    column_types=dict.fromkeys(header, pa.string()),
                    strings_can_be_null=True,
                    null_values=[""],
                ),
            )
        except pa.ArrowInvalid as error:
            raise ConfigError(f"{self.path}: {error}") from error

    def _table_chunks(self, start: int, size: int) -> Iterator[Chunk]:
        first = 0
        for table in self._tables(size):
            if first == 0:
                self._check(table.schema.names)
            for begin in range(max(0, start - first), len(table), size):
                records = self._records(table.slice(begin, size))
                yield self._chunk(first + begin, records)
            first += len(table)

    def _check(self, names: list[str]) -> None:
        missing = [
            name
            for name, spec in self.profile.fields.items()
            if not spec.optional
            and name not in names
            and name != self.profile.id_field
            and f"{name}_0" not in names
        ]
        if missing:
            raise ConfigError(
                f"{self.path}: profile {self.profile.name!r} needs the column(s) "
                f"{', '.join(missing)}; "
                f"the file has {', '.join(names)}"
            )
        for name in names:
            self._known(name)

    def _known(self, name: str) -> bool:
        """Whether the profile has this field; notes it when not."""
        fields = self.profile.fields
        if name in fields or (
            name.rpartition("_")[0] in fields and name.rpartition("_")[2].isdigit()
        ):
            return True
        if name not in self.unknown and name not in _LABELS:
            self.unknown.append(name)
        return False

    def _records(self, table: pa.RecordBatch) -> list[dict[str, Any]]:
        """The rows as JSON objects, without the cells that are empty."""
        all_columns = {name: self._column(table, name) for name in self.profile.fields}
        columns = {name: cells for name, cells in all_columns.items() if cells is not None}
        rows = zip(*columns.values(), strict=True)
        if not any(None in cells for cells in columns.values()):
            return [dict(zip(columns, row, strict=True)) for row in rows]
        return [
            {name: cell for name, cell in zip(columns, row, strict=True) if cell is not None}
            for row in rows
        ]

    def _column(self, table: pa.RecordBatch, name: str) -> list[Any] | None:
        spec = self.profile.fields[name]
        if name in table.schema.names:
            return convert(table.column(name), _cells(spec))
        if spec.is_list and f"{name}_0" in table.schema.names:
            wide = [column for column in table.schema.names if column.rpartition("_")[0] == name]
            wide.sort(key=lambda column: int(column.rpartition("_")[2]))
            numbers = [convert(table.column(column), "double") for column in wide]
            return [list(row) for row in zip(*numbers, strict=True)]
        return None

    def _chunk(self, first: int, records: list[dict[str, Any]]) -> Chunk:
        return Chunk(
            first,
            [self._identify(record, first + i) for i, record in enumerate(records)],
            [_encode(record) for record in records],
        )

    def _identify(self, record: dict[str, Any], row: int) -> str:
        """The record's id, set where it has none."""
        name = self.profile.id_field
        identity = record.get(name)
        if identity is None or identity == "":
            identity = record[name] = f"{self.digest[:16]}-{row}"
        return str(identity)

    def _json_chunks(self, start: int, size: int) -> Iterator[Chunk]:
        with self.path.open("rb") as file:
            lines = enumerate(line for line in file if line.strip())
            numbered = islice(lines, start, None)
            while rows := list(islice(numbered, size)):
                yield self._json_chunk(rows)

    def _json_chunk(self, rows: list[tuple[int, bytes]]) -> Chunk:
        chunk = Chunk(rows[0][0], [], [])
        for row, line in rows:
            try:
                record = msgspec.json.decode(line)
            except (msgspec.DecodeError, UnicodeDecodeError):
                record = None
            if isinstance(record, dict):
                record = {name: value for name, value in record.items() if self._known(name)}
                chunk.ids.append(self._identify(record, row))
                chunk.lines.append(_encode(record))
            else:  # the API says what is wrong with it
                chunk.ids.append("")
                chunk.lines.append(line.strip())
        return chunk


def _cells(spec: Field) -> str:
    kinds = {"text": "string", "number": "double", "vector": "json"}
    return "int64" if spec.type == "integer" else kinds.get(spec.cells, spec.cells)


def convert(column: pa.Array, cells: str) -> list[Any]:
    """A file's column as JSON values. Cells that do not fit stay, so that the API names them."""
    if cells == "time":
        return _times(column)
    if cells == "json":
        return [_loose(cell) if isinstance(cell, str) else cell for cell in column.to_pylist()]
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    try:
        column = column.cast(pa.type_for_alias(cells))
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return [
            _BOOLS.get(str(cell).lower(), cell) if cells == "bool" else _loose(cell)
            for cell in column.to_pylist()
        ]
    if pa.types.is_floating(column.type):
        column = pc.if_else(pc.is_nan(column), pa.scalar(None, column.type), column)
    return column.to_pylist()  # type: ignore[no-any-return]


def _times(column: pa.Array) -> list[Any]:
    """Timestamps as ISO 8601 in UTC; numbers, also in texts, stay numbers."""
    if pa.types.is_timestamp(column.type):
        whole = column.cast(pa.timestamp("us", tz=column.type.tz or "UTC"))
        return pc.strftime(whole, format="%Y-%m-%dT%H:%M:%SZ").to_pylist()  # type: ignore[no-any-return]
    if pa.types.is_date(column.type):
        column = column.cast(pa.string())
    cells = column.to_pylist()
    return [_loose(cell) for cell in cells] if pa.types.is_string(column.type) else cells


def _loose(cell: object) -> object:
    """What a text cell says as JSON (number, list, true, false), else the text itself."""
    if not isinstance(cell, str):
        return cell
    try:
        return msgspec.json.decode(cell)
    except msgspec.DecodeError:
        return cell
