"""Rows of cells (CSV, workbooks, Parquet) as lines of JSON, column by column."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as types

from model.files.cells import Read, only, quoted
from model.files.cells_texts import plain, texts
from model.files.cells_vectors import is_list, read_lists
from model.files.fields import Writing, currencies_first, read_field
from model.files.labels import Verdicts
from model.files.lines import objects
from model.files.mapping import Columns
from model.files.shaped import Shaped, faults
from model.files.table_file import Table
from tidegate.profile import Profile


class CellShaping:
    """Shapes the tables of files that have the same columns."""

    def __init__(
        self, profile: Profile, columns: Columns, writing: Writing, verdicts: Verdicts
    ) -> None:
        self._profile, self._columns, self._writing = profile, columns, writing
        self._verdicts = verdicts
        self.unknown = [name for name in columns.further if not verdicts.may_stand_in(name)]
        """Columns of no field."""
        self.made_of = columns.of
        """The columns of each field."""
        self._kept = self.unknown if profile.unknown_fields == "keep" else []

    def shape(self, table: Table) -> Shaped:
        """The rows of a table. Raises ConfigError for a word that is no verdict."""
        fields, batch = self._profile.fields, table.batch
        reads = self._reads(batch)
        ids = self._ids(reads)
        values = {name: reads[name].json for name in fields if name in reads}
        values |= {name: _as_json(batch.column(name)) for name in self._kept if name not in fields}
        return Shaped(
            [""] * len(batch) if ids is None else ids.to_pylist(),
            objects(values, len(batch)),
            self._verdicts.of(batch.column, table),
            self._shown(batch, reads),
            faults(self._profile, reads, table.numbers),
            sum(read.twice for read in reads.values()),
        )

    def _reads(self, batch: pa.RecordBatch) -> dict[str, Read]:
        """The fields that the file has."""
        reads: dict[str, Read] = {}
        for field in currencies_first(self._profile.fields):
            columns = [batch.column(name) for name in self._columns.of.get(field.name, ())]
            if columns:
                currency = reads.get(getattr(field, "currency", ""))
                codes = currency and currency.cells
                reads[field.name] = read_field(field, columns, self._writing, codes)
        return reads

    def _shown(self, batch: pa.RecordBatch, reads: dict[str, Read]) -> pa.RecordBatch:
        """The cells as texts."""
        if all(types.is_string(column.type) for column in batch.columns):
            return batch
        known = {
            columns[0]: reads[name].cells
            for name, columns in self._columns.of.items()
            if len(columns) == 1
        }
        names = batch.schema.names
        columns = [known[name] if name in known else texts(batch.column(name)) for name in names]
        return pa.RecordBatch.from_arrays(columns, names=names)

    def _ids(self, reads: dict[str, Read]) -> pa.Array | None:
        """The rows' ids, "" where there is none: an empty one is taken out of `reads`."""
        name = self._profile.id_field
        read = reads.get(name)
        if read is None:
            return None
        ids = pc.fill_null(read.cells, "")
        empty = pc.equal(ids, "")
        if pc.any(empty).as_py():
            reads[name] = read._replace(
                json=pc.if_else(empty, pa.scalar(None, pa.string()), read.json)
            )
        return ids


def _as_json(column: pa.Array) -> pa.Array:
    """A column of no field: numbers and truth values as such, all else as text."""
    inner = plain(column)
    if is_list(inner.type):
        return read_lists(inner).json
    cells = texts(inner)
    if types.is_floating(inner.type):
        return only(cells, pc.is_finite(inner).fill_null(False).to_numpy(zero_copy_only=False))
    if types.is_integer(inner.type) or types.is_decimal(inner.type) or types.is_boolean(inner.type):
        return cells
    return quoted(cells)
