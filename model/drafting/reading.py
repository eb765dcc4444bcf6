"""The sample of a file: its first rows, and some from all over the rest."""

from __future__ import annotations

from collections.abc import Callable, Collection

import msgspec
import pyarrow as pa

from model.drafting.sample import Sample, columns_of_json, texts_of
from model.files.places import opened
from model.files.tables import Tables
from tidegate.errors import ConfigError
from tidegate.profile.file_spec import FileSpec
from tidegate.profile.spec import Json

_ENVELOPES = {
    "debezium": {"after", "op"},
    "connect": {"payload", "schema"},
    "cloudevents": {"data", "specversion"},
}
"""What the records of other producers have around a row, by the profile's word for them."""
_FIRST = 100_000
"""Rows that are looked at one after the other, so that accounts come again."""
_MORE = 100_000
"""Rows that are looked at from the rest of the file."""
_TABLE = 5000
_READ = 10_000_000
"""Rows after which reading ends: a draft should take seconds."""


def read_sample(
    place: str, spec: FileSpec, form: str = "", progress: Callable[[int], None] = lambda _: None
) -> tuple[Sample, list[str]]:
    """Columns of text of the rows that are looked at, and what the look at the file found.

    `progress` is told how many rows were read. Raises ConfigError for a file that cannot be read,
    or has no rows.
    """
    tables = Tables(opened(place, form), spec)
    batches, read, whole = _batches(tables, progress)
    if not batches:
        raise ConfigError(f"{place} has no rows: a draft needs some to look at")
    table = pa.Table.from_batches(batches).combine_chunks()
    file = _said(spec)
    if tables.is_json:
        lines = (line.encode() for line in table.column("line").to_pylist())
        columns, typed = columns_of_json(lines)
        if not columns:
            raise ConfigError(f"{place} holds no JSON objects: a draft needs some to look at")
        _check_rows(place, columns)
    else:
        found = {name: texts_of(_array(table.column(name))) for name in tables.names}
        columns = {name: text for name, (text, _) in found.items()}
        typed = {name: kind for name, (_, kind) in found.items() if kind}
    rows = len(next(iter(columns.values())))
    return Sample(columns, rows, typed, file, whole and rows == read, tables.is_json), tables.told


def _check_rows(place: str, names: Collection[str]) -> None:
    """Raises ConfigError for records that have their rows inside."""
    for envelope, signs in _ENVELOPES.items():
        if signs <= {name.partition(".")[0] for name in names}:
            raise ConfigError(
                f"{place} holds no rows, but records with {' and '.join(sorted(signs))} around "
                "them: draft from an export of the table, and add "
                f"`envelope: {envelope}` to the profile, which then reads both (docs/producers.md)"
            )


def _said(spec: FileSpec) -> dict[str, Json]:
    """What was said of the file, as the profile says it."""
    usual = msgspec.to_builtins(FileSpec())
    return {name: told for name, told in msgspec.to_builtins(spec).items() if told != usual[name]}


def _array(column: pa.ChunkedArray) -> pa.Array:
    return column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)


def _batches(
    tables: Tables, progress: Callable[[int], None]
) -> tuple[list[pa.RecordBatch], int, bool]:
    """The first rows, then thinner and thinner ones of the rest; how many rows were read; whether
    the file ended.
    """
    first: list[pa.RecordBatch] = []
    more: list[pa.RecordBatch] = []
    read, step = 0, 1
    for table in tables.read(_TABLE):
        batch = table.batch
        read += len(batch)
        progress(read)
        if read <= _FIRST:
            first.append(batch)
        else:
            more.append(_thinned(batch, step))
        if sum(map(len, more)) > _MORE:
            more, step = [_thinned(batch, 2) for batch in more], step * 2
        if read >= _READ:
            return _filled(first + more), read, False
    return _filled(first + more), read, True


def _thinned(batch: pa.RecordBatch, step: int) -> pa.RecordBatch:
    return batch if step == 1 else batch.take(pa.array(range(0, len(batch), step), pa.int64()))


def _filled(batches: list[pa.RecordBatch]) -> list[pa.RecordBatch]:
    return [batch for batch in batches if len(batch)]
