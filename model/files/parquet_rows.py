"""Parquet files, a row group at a time."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from model.files.columns import named
from model.files.marks import Marks
from model.files.places import Part
from model.files.rows import Refusal
from model.files.table_file import Table, texts
from tidegate.profile.file_spec import FileSpec

_READING = {"arrow_extensions_enabled": True, "coerce_int96_timestamp_unit": "us"}
"""UUIDs are known as such, and an INT96 of the year 9999 is no time of 1816."""

_DETAIL = "holds bytes that are not UTF-8, in a column of texts: write the file anew"


class ParquetFile:
    """A Parquet file; its columns keep their types."""

    def __init__(self, part: Part, spec: FileSpec) -> None:
        import pyarrow.parquet as pq

        self._part = part
        with part.stored() as file:
            about = pq.ParquetFile(file, **_READING)
            self.columns = named(about.schema_arrow.names)
            self.about: int | None = about.metadata.num_rows
        self.footer = spec.footer
        self.marks = Marks(None, None)
        self.told = self.columns.told()

    def tables(self, first: int, size: int) -> Iterator[Table]:
        """All rows; bad is one with a text that is none, as some writers leave it."""
        import pyarrow.parquet as pq

        with self._part.stored() as file:
            for batch in pq.ParquetFile(file, **_READING).iter_batches(
                batch_size=size, use_threads=False
            ):
                renamed = pa.RecordBatch.from_arrays(batch.columns, names=self.columns.names)
                numbers = np.arange(first, first + len(batch))
                first += len(batch)
                yield self._table(numbers, renamed)

    def _table(self, numbers: NDArray[np.int64], batch: pa.RecordBatch) -> Table:
        """The rows with texts that are UTF-8; Arrow looks at none when it reads them."""
        bad = {} if _is_whole(batch) else _bad_rows(batch)
        if not bad:
            return Table(self._part.name, numbers, batch, [], texts(self.columns.names, []))
        return Table(
            self._part.name,
            np.delete(numbers, [*bad]),
            _without(batch, [*bad]),
            [Refusal(int(numbers[i]), name, "bad_byte", _DETAIL) for i, name in bad.items()],
            texts(self.columns.names, [[_shown(cell) for cell in _row(batch, i)] for i in bad]),
        )


def _is_whole(batch: pa.RecordBatch) -> bool:
    try:
        batch.validate(full=True)
    except pa.ArrowInvalid:
        return False
    return True


def _bad_rows(batch: pa.RecordBatch) -> dict[int, str]:
    """The rows with a cell that cannot be read, in their order, and the first such column."""
    bad: dict[int, str] = {}
    for i in range(len(batch)):
        for name, cell in zip(batch.schema.names, _row(batch, i), strict=True):
            if not _is_text(cell):
                bad.setdefault(i, name)
    return bad


def _without(batch: pa.RecordBatch, rows: list[int]) -> pa.RecordBatch:
    """The others, by slices: Arrow filters no views of strings."""
    edges = [-1, *rows, len(batch)]
    parts = [batch.slice(start + 1, end - start - 1) for start, end in pairwise(edges)]
    return pa.concat_batches(parts)


def _row(batch: pa.RecordBatch, i: int) -> list[pa.Scalar]:
    return [column[i] for column in batch.columns]


def _is_text(cell: pa.Scalar) -> bool:
    """Whether it can be read: all but a text, or a list with one, that is not UTF-8."""
    try:
        cell.as_py()
    except UnicodeDecodeError:
        return False
    return True


def _shown(cell: pa.Scalar) -> str | None:
    """As far as it can be read."""
    if _is_text(cell):
        return None if cell.as_py() is None else str(cell.as_py())
    buffer = getattr(cell, "as_buffer", lambda: None)()
    return "" if buffer is None else bytes(buffer).decode(errors="replace")
