"""A look at an uploaded file before any of it is sent: its columns, first rows and faults."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from tidegate.errors import ConfigError

if TYPE_CHECKING:
    from model.files.reader import Reader
    from tidegate.profile import Profile

ROWS, SHOWN, FAULTS = 1_000, 8, 20
"""Rows that are looked at; of these, so many are shown; and so many that would be refused."""
_COLUMNS = 2_000
_PARQUET_ROWS = 5_000_000
_PARQUET_BYTES = 4 << 30
_HEADER = 256 << 10


class Fault(msgspec.Struct):
    """A row that would be refused."""

    row: int
    field: str
    detail: str


class Look(msgspec.Struct):
    """What was found. `made_of`: the columns of each field; `missing`: fields that the file has
    not; `unknown`: columns of no field; `told`: sentences; `rows`: cells of the first rows.
    """

    made_of: dict[str, list[str]]
    missing: list[str]
    unknown: list[str]
    told: list[str]
    names: list[str]
    rows: list[list[str]]
    read: int
    refused: int
    faults: list[Fault]
    about: int | None


def look_at(profile: Profile, path: Path, name: str) -> Look:
    """Read the first rows of the file at `path`, which people know as `name`.

    Raises ConfigError for what is too large unpacked, or cannot be read.
    """
    from model.files.places import Place, opened
    from model.files.reader import Reader

    try:
        _check_size(path)
        place = opened(str(path))
        parts = [replace(part, name=name) for part in place.parts]
        reader = Reader(name, profile, None, source=Place(name, parts, place.told))
        return _look(profile, reader)
    except ConfigError as error:
        raise ConfigError(str(error).replace(str(path), name)) from None


def _look(profile: Profile, reader: Reader) -> Look:
    from model.files.sifting import sift

    rows = next(reader.rows(ROWS), None)
    if rows is None or not len(rows.numbers):
        raise ConfigError(f"{reader.place} has no rows")
    refused = sift(profile, rows).refused
    made_of = {field: list(columns) for field, columns in reader.columns.items()}
    cells = rows.cells.slice(0, SHOWN)
    return Look(
        made_of=made_of,
        missing=[
            name
            for name, field in profile.fields.items()
            if made_of and name not in made_of and not field.ignored
        ],
        unknown=list(reader.unknown),
        told=list(reader.told),
        names=list(cells.schema.names),
        rows=[list(map(_cell, row.values())) for row in cells.to_pylist()],
        read=len(rows.numbers),
        refused=len(refused),
        faults=[Fault(one.number, one.field, one.detail) for one in refused[:FAULTS]],
        about=reader.about,
    )


def _cell(value: Any) -> str:  # noqa: ANN401 - whatever a cell holds
    return "" if value is None else str(value)[:200]


def _check_size(path: Path) -> None:
    """Raises ConfigError for a file whose first look would take too much memory."""
    if path.suffix == ".parquet":
        _check_parquet(path)
    else:
        with path.open("rb") as file:
            if b"\n" not in (start := file.read(_HEADER)) and len(start) == _HEADER:
                raise ConfigError(
                    f"{path}: the first line is longer than {_HEADER >> 10} kB: is it a table?"
                )


def _check_parquet(path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pa_parquet

    try:
        about = pa_parquet.read_metadata(path)
    except (pa.ArrowException, OSError) as error:
        raise ConfigError(f"cannot read {path}: {str(error).partition(chr(10))[0]}") from error
    size = sum(about.row_group(group).total_byte_size for group in range(about.num_row_groups))
    for count, most, what in (
        (about.num_columns, _COLUMNS, "columns"),
        (about.num_rows, _PARQUET_ROWS, "rows"),
        (size, _PARQUET_BYTES, "bytes unpacked"),
    ):
        if count > most:
            raise ConfigError(
                f"{path} has {count:,} {what}; at most {most:,} are taken here: cut it, or use "
                "`tidegate batch`"
            )
