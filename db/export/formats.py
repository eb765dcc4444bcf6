"""CSV and Parquet, written as they come: bytes of a file, some at a time."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from db.export.columns import Column
from tidegate.errors import ConfigError

Format = Literal["csv", "parquet"]
Rows = Iterable[Sequence[Sequence[Any]]]
FORMATS: tuple[Format, ...] = ("csv", "parquet")
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""What a cell begins with that spreadsheets would compute; as OWASP lists them."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def written(form: Format, columns: Sequence[Column], rows: Rows) -> Iterator[bytes]:
    """The file. Raises ConfigError for Parquet where pyarrow is not installed."""
    return as_csv(columns, rows) if form == "csv" else as_parquet(columns, rows)


def as_csv(columns: Sequence[Column], rows: Rows) -> Iterator[bytes]:
    """UTF-8 with a header; what is missing is empty; times are ISO 8601, UTC.

    A text that a spreadsheet would take for a formula begins with an apostrophe.
    """
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\r\n")
    writer.writerow([_guarded(column.name) for column in columns])
    yield _taken(buffer)
    for some in rows:
        for row in some:
            writer.writerow(
                [_cell(column, value) for column, value in zip(columns, row, strict=True)]
            )
        yield _taken(buffer)


def as_parquet(columns: Sequence[Column], rows: Rows) -> Iterator[bytes]:
    """Texts, f8 and times with their zone; a row group for each part that comes."""
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:
        raise ConfigError(
            "Parquet is not written here, as the slim image lacks pyarrow: export CSV, or run "
            "`tidegate export` from the full image"
        ) from error
    kinds = {
        "text": pa.string(),
        "number": pa.float64(),
        "time": pa.timestamp("us", tz="UTC"),
    }
    schema = pa.schema([(column.name, kinds[column.kind]) for column in columns])
    buffer = _Drained()
    with pq.ParquetWriter(pa.PythonFile(buffer, mode="w"), schema, compression="zstd") as writer:
        for some in rows:
            arrays = [
                pa.array(values, field.type)
                for values, field in zip(zip(*some, strict=True), schema, strict=True)
            ]
            writer.write_table(pa.Table.from_arrays(arrays, schema=schema))
            yield buffer.drained()
    yield buffer.drained()


class _Drained(io.RawIOBase):
    """A file that is only written to, and read off as it grows."""

    def __init__(self) -> None:
        super().__init__()
        self._parts: list[bytes] = []
        self._size = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:  # noqa: ANN401 - a buffer
        part = bytes(data)
        self._parts.append(part)
        self._size += len(part)
        return len(part)

    def tell(self) -> int:
        return self._size

    def drained(self) -> bytes:
        """What was written since the last time."""
        parts, self._parts = self._parts, []
        return b"".join(parts)


def _taken(buffer: io.StringIO) -> bytes:
    text = buffer.getvalue()
    buffer.seek(0)
    buffer.truncate()
    return text.encode()


def _cell(column: Column, value: Any) -> str:  # noqa: ANN401 - of any kind
    if value is None:
        return ""
    if column.kind == "text":
        return _guarded(value)
    if column.kind == "time":
        return (_EPOCH + timedelta(microseconds=value)).isoformat(timespec="microseconds")
    return repr(value)


def _guarded(text: str) -> str:
    return f"'{text}" if text.startswith(_FORMULA) else text
