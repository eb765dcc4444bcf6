"""Cells as JSON numbers, by the digits that stand in the cell: no float is made of them here.

A cell that is a JSON number stays as it is. Others are rewritten where they can mean one number
only: blanks around it, a plus sign, leading zeros, `.5` and `5.`, the profile's decimal mark and
marks of thousands, a minus behind it or a bracket around it, and for money a currency's sign or
code. Everything else is refused, by the cell alone.
"""

from __future__ import annotations

import re
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as types

from model.files.cells import NUMBER, Mask, Read, either, mask, only, parted, signs_of
from model.files.cells_texts import plain, texts
from tidegate.profile.currencies import minor_units
from tidegate.profile.number_types import Integer, Money, Number

_JSON = f"^{NUMBER}$"
_BLANK = r"[\s\x{a0}\x{202f}\x{2009}]*"
_SIGN = r"[+\-\x{2212}]?"
_CURRENCY = r"(?:[A-Z]{0,3}\p{Sc}|[A-Z]{3})?"
_MISSING = r"(?i)^[\s\x{a0}]*(?:[+-]?nan)?[\s\x{a0}]*$"
_ALIKE = {
    " ": r"[ \x{a0}\x{202f}\x{2009}]",
    "\xa0": r"[ \x{a0}\x{202f}\x{2009}]",
    "'": r"['\x{2019}]",
    "\u2019": r"['\x{2019}]",
}
"""Marks of thousands that people cannot tell apart."""
_NUMERIC = (types.is_integer, types.is_floating, types.is_decimal, types.is_boolean)


class Marks(NamedTuple):
    """What stands before the decimals, and between groups of digits ("": nothing)."""

    decimal: str = "."
    thousands: str = ""


def read_numbers(
    column: pa.Array,
    field: Number,
    marks: Marks = Marks(),  # noqa: B008 - immutable
    codes: pa.Array | None = None,
) -> Read:
    """A column of any Arrow type for a field of numbers; `codes` are an amount's currencies."""
    inner = plain(column)
    money = isinstance(field, Money)
    if any(test(inner.type) for test in _NUMERIC):
        inner, marks = _exact(inner), Marks()
    cells = texts(inner)
    json, bad = numbers(cells, marks, money=money)
    if isinstance(field, Integer) and (signs_of(json) == ord(".")).any():
        json = pc.replace_substring_regex(json, r"^(-?[0-9]+)\.0+$", r"\1")
    if isinstance(field, Money) and field.minor:
        json, fractions = _of_minor_units(json, field, codes)
        bad |= fractions
    return parted(json, cells, bad, expected(marks, field))


def expected(marks: Marks, field: Number) -> str:
    """What a cell of the column should have been."""
    if isinstance(field, Money) and field.minor:
        currency = " of a currency of ISO 4217" if field.currency else ""
        return f"a whole number of minor units{currency}"
    example = f"1{marks.thousands}234{marks.decimal}50" if field.type != "integer" else "1234"
    named = "; other marks: `decimal_mark` and `thousands` of the field, or under `file`"
    return f"a number such as {example}{named}"


def numbers(cells: pa.Array, marks: Marks, *, money: bool = False) -> tuple[pa.Array, Mask]:
    """Texts as JSON numbers, null where blank or NaN, and which are no numbers."""
    if marks != Marks():
        return _rewritten(cells, marks, money=money)
    good = mask(pc.match_substring_regex(cells, _JSON))
    rest = mask(pc.is_valid(cells)) & ~good
    if not rest.any():
        return cells, rest
    at = np.flatnonzero(rest)
    some, bad = _rewritten(cells.take(pa.array(at)), marks, money=money)
    odd = np.zeros(len(cells), np.bool_)
    odd[at[bad]] = True
    return pc.replace_with_mask(cells, pa.array(rest), some), odd


def _of_minor_units(json: pa.Array, field: Money, codes: pa.Array | None) -> tuple[pa.Array, Mask]:
    """Minor units as units, each row by the decimals of its own currency if it has one."""
    if not field.currency:
        return in_units(json, field.decimals)
    units, bad = pa.nulls(len(json), pa.string()), mask(pc.is_valid(json))
    for code in [] if codes is None else codes.unique().drop_null().to_pylist():
        places = _places(code)
        here = mask(pc.equal(codes, code))
        if places is not None:
            some, fractions = in_units(json, places)
            units, bad = either(some, units, here), np.where(here, fractions, bad)
    return units, bad


def _places(code: str) -> int | None:
    try:
        return minor_units(code)
    except ValueError:
        return None


def in_units(json: pa.Array, decimals: int) -> tuple[pa.Array, Mask]:
    """Whole minor units as units, and which had a fraction: 1234 with 2 decimals is 12.34."""
    whole = pc.replace_substring_regex(json, r"\.0+$", "")
    fits = pc.match_substring_regex(whole, r"^-?[0-9]+$")
    bad = mask(pc.invert(fits))
    if decimals:
        sign = pc.if_else(pc.starts_with(whole, "-"), "-", "")
        digits = pc.utf8_lpad(pc.utf8_ltrim(whole, "-"), decimals + 1, "0")
        units = pc.utf8_slice_codeunits(digits, 0, -decimals)
        rest = pc.utf8_slice_codeunits(digits, -decimals)
        whole = pc.binary_join_element_wise(sign, units, ".", rest, "")
        whole = pc.replace_substring_regex(whole, r"^(-?)0+([0-9])", r"\1\2")
    return only(whole, ~bad), bad


def _exact(column: pa.Array) -> pa.Array:
    """Numbers whose text in Arrow is that of a JSON number: whole floats without an exponent."""
    if types.is_boolean(column.type):
        return column.cast(pa.int8())
    if types.is_decimal(column.type) and column.type.scale < 0:
        return column.cast(pa.decimal256(76, 0))
    if types.is_floating(column.type):
        return pc.if_else(pc.is_nan(column), pa.scalar(None, column.type), column)
    return column


def _rewritten(cells: pa.Array, marks: Marks, *, money: bool) -> tuple[pa.Array, Mask]:
    parts = pc.extract_regex(cells, _pattern(marks, money=money))
    blank = mask(pc.match_substring_regex(cells, _MISSING))
    number = _plain(pc.struct_field(parts, "number"), marks)
    negative, doubled = _signs(parts)
    good = mask(pc.match_substring_regex(number, _JSON)) & ~doubled
    minus = either(pa.scalar("-"), pa.scalar(""), negative)
    json = only(pc.binary_join_element_wise(minus, number, ""), good)
    return json, mask(pc.is_valid(cells)) & ~good & ~blank


def _signs(parts: pa.StructArray) -> tuple[Mask, Mask]:
    """Which numbers are negative, and which say more than once what sign they have."""
    signs = [pc.struct_field(parts, name) for name in ("before", "inside", "behind")]
    said = [mask(pc.not_equal(sign, "")) for sign in signs]
    minus = [mask(pc.is_in(sign, pa.array(["-", "\u2212"]))) for sign in signs]
    opened = mask(pc.equal(pc.struct_field(parts, "opened"), "("))
    closed = mask(pc.equal(pc.struct_field(parts, "closed"), ")"))
    often = np.sum([*said, opened], axis=0) > 1
    return np.logical_or.reduce([*minus, opened]), often | (opened != closed)


def _pattern(marks: Marks, *, money: bool) -> str:
    currency = _CURRENCY if money else ""
    group = _ALIKE.get(marks.thousands, rf"\x{{{ord(marks.thousands or ','):x}}}")
    grouped = rf"[0-9]{{1,3}}(?:{group}[0-9]{{2,3}})*{group}[0-9]{{3}}|" if marks.thousands else ""
    decimals = rf"\x{{{ord(marks.decimal):x}}}"
    number = rf"(?:{grouped}[0-9]*)(?:{decimals}[0-9]*)?(?:[eE][+-]?[0-9]+)?"
    return (
        rf"^{_BLANK}(?P<opened>\(?){_BLANK}(?P<before>{_SIGN}){_BLANK}{currency}{_BLANK}"
        rf"(?P<inside>{_SIGN}){_BLANK}(?P<number>{number}){_BLANK}{currency}{_BLANK}"
        rf"(?P<behind>[\-\x{{2212}}]?){_BLANK}{currency}{_BLANK}(?P<closed>\)?){_BLANK}$"
    )


def _plain(number: pa.Array, marks: Marks) -> pa.Array:
    """The digits with a point before the decimals, without needless zeros."""
    if marks.thousands:
        group = _ALIKE.get(marks.thousands, re.escape(marks.thousands))
        number = pc.replace_substring_regex(number, group, "")
    if marks.decimal != ".":
        number = pc.replace_substring(number, marks.decimal, ".", max_replacements=1)
    number = pc.replace_substring_regex(number, r"^0+([0-9])", r"\1")
    number = pc.replace_substring_regex(number, r"^\.([0-9])", r"0.\1")
    return pc.replace_substring_regex(number, r"^([0-9]+)\.([eE]|$)", r"\1\2")
