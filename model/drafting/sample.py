"""The first rows of a file as columns of text, to be looked at."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from model.files.cells_texts import plain, texts
from tidegate.profile.spec import Json


class Sample(NamedTuple):
    """`columns` of text by name, in the file's order: an empty or missing cell is null.

    `typed` says what Parquet or JSON knows of a column: "time", "number", "bool". `file` is what
    the profile's section of that name says already, `whole` whether all rows of the file are
    there, and `is_json` whether they are JSON lines.
    """

    columns: dict[str, pa.Array]
    rows: int
    typed: dict[str, str]
    file: dict[str, Json]
    whole: bool = True
    is_json: bool = False


def texts_of(column: pa.Array) -> tuple[pa.Array, str]:
    """A column of any Arrow type as texts, and what its type says (see `Sample.typed`)."""
    column = plain(column)
    kind, text = _kind(column.type), texts(column)
    if kind in ("number", ""):
        text = pc.if_else(pc.is_in(text, pa.array(["", "nan"])), pa.scalar(None, pa.string()), text)
    return text, kind


def _kind(arrow: pa.DataType) -> str:
    if pa.types.is_temporal(arrow):
        return "time"
    if pa.types.is_boolean(arrow):
        return "bool"
    numeric = pa.types.is_integer(arrow) or pa.types.is_floating(arrow)
    return "number" if numeric or pa.types.is_decimal(arrow) else ""


def columns_of_json(lines: Iterable[bytes]) -> tuple[dict[str, pa.Array], dict[str, str]]:
    """Columns of text of JSON lines, and what JSON says of each; other lines are passed over."""
    rows = []
    for line in lines:
        try:
            row = msgspec.json.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError):
            continue
        if isinstance(row, dict):
            rows.append(dict(_members(row)))
    names = list(dict.fromkeys(name for row in rows for name in row))
    columns, typed = {}, {}
    for name in names:
        cells = [row.get(name) for row in rows]
        if any(isinstance(cell, list) for cell in cells):
            continue  # no field takes it
        columns[name] = pa.array([_json_text(cell) for cell in cells], pa.string())
        typed[name] = _json_kind(cells)
    return columns, typed


def _members(row: dict[str, object], within: str = "") -> Iterator[tuple[str, object]]:
    """The values of an object, those of objects in it by their paths, such as `customer.id`."""
    for name, value in row.items():
        if isinstance(value, dict):
            yield from _members(value, f"{within}{name}.")
        else:
            yield within + name, value


def _json_text(cell: object) -> str | None:
    if cell is None or cell == "":
        return None
    return cell if isinstance(cell, str) else msgspec.json.encode(cell).decode()


def _json_kind(cells: Sequence[object]) -> str:
    kinds = {type(cell) for cell in cells if cell is not None}
    if kinds == {bool}:
        return "bool"
    return "number" if kinds and kinds <= {int, float} else ""
