"""The columns that make a field, read as its type says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from model.files.cells import Mask, Read, either, mask, only, parted
from model.files.cells_booleans import read_booleans
from model.files.cells_numbers import Marks, expected, read_numbers
from model.files.cells_texts import empty_as_missing, is_exact, plain, read_codes, read_texts, texts
from model.files.cells_times import read_times
from model.files.cells_vectors import read_lists, read_wide
from tidegate.profile import Field
from tidegate.profile.field_types import Bool, Currency, Time
from tidegate.profile.number_types import Number, Vector

_ZERO = r"^-?0*(?:\.0*)?(?:[eE].*)?$"


class Writing(NamedTuple):
    """How a file writes its cells where a field says nothing else.

    `empties`: the file can tell an empty text from none (CSV cannot).
    """

    decimal_mark: str | None = None
    thousands: str | None = None
    zone: str | None = None
    empties: bool = True


def read_field(
    field: Field, columns: Sequence[pa.Array], writing: Writing, codes: pa.Array | None = None
) -> Read:
    """The field of n rows, from its columns in the profile's order.

    `codes` are the currencies of an amount that has one, string[n].
    """
    if not writing.empties:
        columns = [empty_as_missing(column, field) for column in columns]
    if isinstance(field, Vector):
        if len(columns) == 1:
            return read_lists(columns[0])
        return read_wide(columns, field, marks_of(field, writing))
    if isinstance(field, Number):
        return _number(field, columns, marks_of(field, writing), codes)
    if isinstance(field, Time):
        return read_times(
            _joined(columns, " ", whole=True), field, writing.zone, writing.decimal_mark
        )
    if isinstance(field, Bool):
        return read_booleans(columns[0], field)
    if isinstance(field, Currency):
        return read_codes(columns[0])
    return read_texts(_joined(columns, "|", whole=False))


def currencies_first(fields: Mapping[str, Field]) -> list[Field]:
    """The fields in an order in which each amount comes behind its currency."""
    return sorted(fields.values(), key=lambda field: not isinstance(field, Currency))


def marks_of(field: Number, writing: Writing) -> Marks:
    """The marks in the field's numbers: its own, else the file's."""
    decimal = field.decimal_mark or writing.decimal_mark or "."
    thousands = writing.thousands if field.thousands is None else field.thousands
    return Marks(decimal, "" if thousands in (None, decimal) else thousands)


def _joined(columns: Sequence[pa.Array], sign: str, *, whole: bool) -> pa.Array:
    """Several columns as one of texts. A row without any part has none; nor, if it has to be
    `whole`, has one that lacks a part.
    """
    if len(columns) == 1:
        return columns[0]
    inner = [plain(column) for column in columns]
    for column in inner:
        if not is_exact(column.type):
            return column  # refused as what it is
    parts = [texts(column) for column in inner]
    present = [mask(pc.is_valid(part)) for part in parts]
    has = np.logical_and.reduce(present) if whole else np.logical_or.reduce(present)
    filled = [pc.fill_null(part, "") for part in parts]
    return only(pc.binary_join_element_wise(*filled, sign), has)


def _number(
    field: Number, columns: Sequence[pa.Array], marks: Marks, codes: pa.Array | None
) -> Read:
    if len(columns) == 1:
        return read_numbers(columns[0], field, marks, codes)
    debit, credit = (read_numbers(column, field, marks, codes) for column in columns)
    return _balance(debit, credit, columns, field, marks)


def _balance(
    debit: Read, credit: Read, columns: Sequence[pa.Array], field: Number, marks: Marks
) -> Read:
    """What is credited, or less than nothing by what is debited; signs in the columns do not count.

    A zero beside an amount is as good as an empty cell; two amounts are a contradiction.
    """
    debited, credited = _some(debit), _some(credit)
    minus = pc.binary_join_element_wise("-", _size(debit.json), "")
    zero = either(_size(debit.json), _size(credit.json), mask(pc.is_valid(debit.json)))
    amount = either(minus, either(_size(credit.json), zero, credited), debited)
    bad = (debited & credited) | debit.is_bad | credit.is_bad
    cells = pc.binary_join_element_wise(
        *(texts(column) for column in columns), "/", null_handling="replace"
    )
    why = f"{expected(marks, field)}, in one of the two columns"
    return parted(amount, cells, bad, why)


def _size(json: pa.Array) -> pa.Array:
    return pc.utf8_ltrim(json, "-")


def _some(read: Read) -> Mask:
    """Where there is an amount other than zero."""
    return mask(pc.is_valid(read.json)) & ~mask(pc.match_substring_regex(read.json, _ZERO))
