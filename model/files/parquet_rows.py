"""Parquet files, a row group at a time."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from model.files.columns import named
from model.files.marks import Marks
from model.files.places import Part
from model.files.table_file import Table, texts
from tidegate.profile.file_spec import FileSpec

_READING = {"arrow_extensions_enabled": True, "coerce_int96_timestamp_unit": "us"}
"""UUIDs are known as such, and an INT96 of the year 9999 is no time of 1816."""


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
        """All rows; a file has good rows only, or cannot be read."""
        import pyarrow.parquet as pq

        none = texts(self.columns.names, [])
        with self._part.stored() as file:
            for batch in pq.ParquetFile(file, **_READING).iter_batches(
                batch_size=size, use_threads=False
            ):
                renamed = pa.RecordBatch.from_arrays(batch.columns, names=self.columns.names)
                numbers = np.arange(first, first + len(batch))
                first += len(batch)
                yield Table(self._part.name, numbers, renamed, [], none)
