"""JSON lines: values stay as they are, as the API would see them, unless the profile says more.

What the profile says of a field's column holds here too: its name, and how its texts are written. A
time that is a text is read as in any other file.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import msgspec
import numpy as np
import pyarrow as pa

from model.files.cells import Mask, Read
from model.files.fields import Writing, read_field
from model.files.rows import Refusal
from tidegate.profile import Field
from tidegate.profile.field_types import Bool, Currency, Time
from tidegate.profile.file_options import column_names
from tidegate.profile.number_types import Money, Number

Object = dict[str, msgspec.Raw]
_read = msgspec.json.Decoder(Object).decode
_text = msgspec.json.Decoder(str).decode
_UNREADABLE = msgspec.DecodeError, UnicodeDecodeError, RecursionError


class Parsed(NamedTuple):
    """The lines as objects (an empty one for a line that is none), and the rows that are none."""

    objects: list[Object]
    refused: dict[int, Refusal]


def parse(lines: Sequence[str], numbers: Sequence[int]) -> Parsed:
    """Each line by itself."""
    objects: list[Object] = []
    refused = {}
    for place, (line, number) in enumerate(zip(lines, numbers, strict=True)):
        try:
            objects.append(_read(line))
        except _UNREADABLE as error:
            objects.append({})
            refused[place] = _refusal(number, str(error))
    return Parsed(objects, refused)


def _refusal(number: int, message: str) -> Refusal:
    if message.startswith("Expected `object`"):
        return Refusal(number, "", "not_an_object", "expected one JSON object a line")
    return Refusal(number, "", "invalid_json", f"expected one JSON object a line: {message}")


def take_out(objects: Sequence[Object], path: str) -> None:
    """Put what stands at `customer.id` of each object under that name, unless it is there."""
    *parents, last = path.split(".")
    for row in objects:
        found = None if path in row else _member(row, parents, last)
        if found is not None:
            row[path] = found


def _member(row: Object, parents: Sequence[str], last: str) -> msgspec.Raw | None:
    try:
        for name in parents:
            row = _read(row[name])
        return row.get(last)
    except (KeyError, *_UNREADABLE):
        return None


def converted(field: Field) -> bool:
    """Whether the profile says more of the field's values than JSON does."""
    if isinstance(field, Time | Currency) or not isinstance(field.column, str | None):
        return True
    if isinstance(field, Bool):
        return field.yes is not None
    if isinstance(field, Money) and field.minor:
        return True
    return isinstance(field, Number) and bool(field.decimal_mark or field.thousands)


def read_json(
    field: Field, objects: Sequence[Object], writing: Writing, codes: pa.Array | None = None
) -> Read:
    """A `converted` field: its texts, and where the profile speaks of them its numbers, as cells of
    a file; other values as they are.
    """
    names = column_names(field)
    values = [[row.get(name) for row in objects] for name in names]
    cells = [[text_of(raw) for raw in column] for column in values]
    read = read_field(field, [pa.array(column, pa.string()) for column in cells], writing, codes)
    keeps = _keeps(field)
    if keeps is None:
        return read
    kept = np.array([raw is not None and keeps(bytes(raw)) for raw in values[0]], np.bool_)
    return _keep(read, values[0], kept)


def _keep(read: Read, values: Sequence[msgspec.Raw | None], kept: Mask) -> Read:
    """The values where `kept`, else what was read."""
    if not kept.any():
        return read
    json = read.json.to_pylist()
    for place in np.flatnonzero(kept).tolist():
        raw = values[place]
        json[place] = None if raw is None else bytes(raw).decode()
    bad = None if read.bad is None or not (read.bad & ~kept).any() else read.bad & ~kept
    return read._replace(json=pa.array(json, pa.string()), bad=bad)


def _keeps(field: Field) -> Callable[[bytes], bool] | None:
    """Which JSON values of a field are no cells; None where its columns are joined."""
    if not isinstance(field.column, str | None):
        return None
    if (isinstance(field, Time) and field.format) or isinstance(field, Bool):
        return lambda raw: raw[:1] in b"{[tfn"
    if isinstance(field, Money) and field.minor:
        return lambda raw: raw[:1] in b"{[tfn"
    return lambda raw: raw[:1] != b'"'


def text_of(raw: msgspec.Raw | None) -> str | None:
    """A value for people: of a text the text, else its JSON."""
    if raw is None:
        return None
    content = bytes(raw)
    if content[:1] == b'"':
        return _text(content)
    return None if content == b"null" else content.decode()
