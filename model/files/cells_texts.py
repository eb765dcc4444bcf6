"""Cells as texts: ids, accounts, categories, and what other types are made of."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as types

from model.files.cells import Read, mask, only, parted, quoted
from tidegate.profile import Field
from tidegate.profile.field_types import Category

_TEXT = (types.is_string, types.is_large_string, types.is_string_view)
_BINARY = (types.is_binary, types.is_large_binary, types.is_binary_view, types.is_fixed_size_binary)
_EXPECTED = (
    "a text or a whole number: floating point rounds what has more than 15 digits; write the "
    "column as text"
)


def is_text(kind: pa.DataType) -> bool:
    """Whether cells of this Arrow type are texts."""
    return any(test(kind) for test in _TEXT)


def is_exact(kind: pa.DataType) -> bool:
    """Whether the text of a cell is the cell: not so in floating point, lists and the like."""
    return not (types.is_floating(kind) or types.is_nested(kind) or types.is_duration(kind))


def plain(column: pa.Array) -> pa.Array:
    """A column of any Arrow type with its own encoding taken off: no dictionary, no extension."""
    if isinstance(column, pa.ExtensionArray):
        if column.type.extension_name == "arrow.uuid":
            return pa.array([cell and str(cell) for cell in column.to_pylist()], pa.string())
        column = column.storage
    if types.is_dictionary(column.type):
        return plain(column.dictionary_decode())
    if types.is_run_end_encoded(column.type):
        return plain(pc.run_end_decode(column))
    return column


def texts(column: pa.Array) -> pa.Array:
    """The cells of any Arrow type as people write them, string[n]; null where there is none."""
    column = plain(column)
    kind = column.type
    if types.is_string(kind):
        return column
    if types.is_null(kind) or any(test(kind) for test in _TEXT):
        return column.cast(pa.string())
    if any(test(kind) for test in _BINARY):
        return _decoded(column)
    if types.is_timestamp(kind):
        return _moments(column)
    if types.is_duration(kind):
        return pc.binary_join_element_wise(column.cast(pa.string()), kind.unit, " ")
    if types.is_float16(kind):
        column = column.cast(pa.float32())
    try:
        return column.cast(pa.string())
    except (pa.ArrowNotImplementedError, pa.ArrowInvalid):
        return pa.array([None if cell is None else str(cell) for cell in column.to_pylist()])


def _decoded(column: pa.Array) -> pa.Array:
    """Bytes that are UTF-8 as texts; those that are not, as hexadecimal digits."""
    try:
        return column.cast(pa.binary()).cast(pa.string())
    except pa.ArrowInvalid:
        return pa.array([_utf8(cell) for cell in column.to_pylist()], pa.string())


def _utf8(cell: bytes | None) -> str | None:
    if cell is None:
        return None
    try:
        return cell.decode()
    except UnicodeDecodeError:
        return cell.hex()


def _moments(column: pa.Array) -> pa.Array:
    """Timestamps in ISO 8601; a fraction is cut off behind its sixth digit.

    Arrow writes a timestamp with a zone in a microsecond, and its date and its time in a twentieth
    of that.
    """
    zone = column.type.tz and "UTC"
    exact = column.cast(pa.timestamp("us", tz=zone), safe=False).view(pa.timestamp("us"))
    whole = exact.cast(pa.timestamp("s"), safe=False)
    time = whole.cast(pa.time32("s")).cast(pa.string())
    fractions = pc.not_equal(whole.cast(exact.type), exact)
    if pc.any(fractions).as_py():
        time = pc.if_else(fractions, exact.cast(pa.time64("us")).cast(pa.string()), time)
    date = exact.cast(pa.date32()).cast(pa.string())
    return pc.binary_join_element_wise(date, "T", time, "Z" if zone else "", "")


def read_texts(column: pa.Array) -> Read:
    """A column of any Arrow type for a field whose values are texts."""
    inner = plain(column)
    cells = texts(inner)
    json = quoted(cells)
    if is_exact(inner.type):
        return Read(json, cells)
    there = mask(pc.invert(pc.is_null(inner, nan_is_null=True)))
    return parted(only(json, there), cells, there, _EXPECTED)


def read_codes(column: pa.Array) -> Read:
    """Codes in capital letters, without the blanks around them; a blank cell holds none."""
    read = read_texts(pc.utf8_upper(pc.utf8_trim_whitespace(texts(column))))
    blank = pc.equal(read.cells, "")
    return read._replace(json=pc.if_else(blank, pa.scalar(None, pa.string()), read.json))


def empty_as_missing(cells: pa.Array, field: Field) -> pa.Array:
    """Texts of a file that cannot tell an empty text from none.

    It is none, unless the field is a category and "" one of its values.
    """
    if isinstance(field, Category) and "" in field.values:
        return pc.fill_null(cells, "")
    if not types.is_string(cells.type):
        return cells
    empty = pc.equal(cells, "")
    if not pc.any(empty).as_py():
        return cells
    return pc.if_else(empty, pa.scalar(None, pa.string()), cells)
