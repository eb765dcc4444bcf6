"""Cells as times, by the cell alone: numbers of the field's `unit`, texts, dates and timestamps.

Texts are read with the year first (ISO 8601, and what people make of it), or by the field's
`format`. Fractions of a second are cut off behind the sixth digit. What names no zone is of the
field's, or the file's, and UTC where neither names one.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as types
from numpy.typing import NDArray

from model.files.cells import NUMBER, Mask, Read, mask, only, parted, quoted
from model.files.cells_texts import plain, texts
from model.files.zones import localized, shifted
from tidegate.profile.field_types import Time
from tidegate.profile.time_formats import HALF, ZONE, TimeFormat

Ints = NDArray[np.int64]
_WALL = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[T ](?:[01][0-9]|2[0-3]):[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,6})?"
_INSTANT = _WALL + r"(?:Z|[+-][0-9]{2}:[0-9]{2})$"
_ALONE = _WALL + r"(?:Z|[+-][0-9]{2}:[0-9]{2})?$"
"""What the decoder of JSON takes as it stands; the second where what names no zone is UTC."""
_WITH_COMMA = r"^(\s*[0-9]+),([0-9]+\s*)$"
_HALF = rf"(?:\s*(?P<half>{HALF}))?"
_END = rf"{_HALF}\s*(?P<zone>{ZONE})?\s*$"
_EXTENDED = (
    r"^\s*(?P<year>\d{4})[-/.](?P<month>\d{1,2})[-/.](?P<day>\d{1,2})"
    r"(?:(?:[Tt_]|\s+)(?P<hour>\d{1,2})(?::(?P<minute>\d{2})(?::(?P<second>\d{2})"
    rf"(?:[.,](?P<fraction>\d+))?)?)?)?{_END}"
)
_BASIC = (
    r"^\s*(?P<year>\d{4})(?P<month>\d{2})(?P<day>\d{2})(?:[Tt_]|\s+)(?P<hour>\d{2})"
    r":?(?P<minute>\d{2})(?::?(?P<second>\d{2})(?:[.,](?P<fraction>\d+))?)?"
    rf"{_END}"
)
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTH_NUMBERS = {name: number for number, name in enumerate(_MONTHS, 1)}
_NUMERIC = (types.is_integer, types.is_floating, types.is_decimal)
_DAY_US = 86_400_000_000


def read_times(
    column: pa.Array, field: Time, zone: str | None = None, decimal_mark: str | None = None
) -> Read:
    """A column of any Arrow type; `zone` and `decimal_mark`, of texts, are the file's."""
    inner = plain(column)
    zone = field.zone or zone or "UTC"
    if types.is_timestamp(inner.type) or types.is_date(inner.type):
        return _moments(inner, zone)
    if types.is_floating(inner.type):
        inner = pc.if_else(pc.is_nan(inner), pa.scalar(None, inner.type), inner)
    if not field.format and any(test(inner.type) for test in _NUMERIC):
        cells = texts(inner)
        return Read(cells, cells)
    cells = texts(inner)
    if decimal_mark == ",":
        cells = pc.replace_substring_regex(cells, _WITH_COMMA, r"\1.\2")
    if field.format:
        return _texts(cells, field, zone, np.zeros(len(cells), np.bool_))
    simple = mask(pc.match_substring_regex(cells, _ALONE if zone == "UTC" else _INSTANT))
    if simple.sum() == len(cells) - cells.null_count:
        return Read(pc.binary_join_element_wise('"', cells, '"', ""), cells)
    return _texts(cells, field, zone, simple)


def _texts(cells: pa.Array, field: Time, zone: str, simple: Mask) -> Read:
    """Texts, of which the `simple` ones stay as they are."""
    blank = mask(pc.equal(pc.utf8_trim_whitespace(cells), "")) | mask(pc.is_null(cells))
    json = np.full(len(cells), None, object)
    json[simple] = quoted(cells.filter(pa.array(simple))).to_numpy(zero_copy_only=False)
    left = ~blank & ~simple
    if not field.format:
        left = _keep_numbers(cells, left, json)
    twice = 0
    for pattern in _patterns(field.format):
        if left.any():
            at = np.flatnonzero(left)
            us, good, both = _parsed(cells.take(pa.array(at)), pattern, zone)
            json[at[good]] = _canonical(us[good]).to_numpy(zero_copy_only=False)
            left[at[good]] = False
            twice += both
    read = parted(pa.array(json, pa.string()), cells, left, expected(field))
    return read._replace(twice=twice)


def expected(field: Time) -> str:
    """What a cell of the column should have been."""
    if field.format:
        return f"a time that exists in its zone, of the form {field.format}"
    return (
        "a time that exists in its zone, such as 2026-01-31T10:00:00Z, or a number of `unit`; "
        "other forms: `format` of the field, such as '%d/%m/%Y'"
    )


def _keep_numbers(cells: pa.Array, left: Mask, json: NDArray[np.object_]) -> Mask:
    """Numbers stay as they are: the decoder knows their `unit`."""
    trimmed = pc.utf8_trim_whitespace(cells)
    numbers = mask(pc.match_substring_regex(trimmed, f"^{NUMBER}$")) & left
    json[numbers] = trimmed.filter(pa.array(numbers)).to_numpy(zero_copy_only=False)
    return left & ~numbers


@lru_cache(maxsize=64)
def _patterns(form: str | None) -> tuple[str, ...]:
    return (TimeFormat.parse(form).pattern,) if form else (_EXTENDED, _BASIC)


def _moments(column: pa.Array, zone: str) -> Read:
    """Timestamps and dates; those of a zone are instants already."""
    cells = texts(column)
    if getattr(column.type, "tz", None):
        return Read(quoted(cells), cells)
    present = mask(pc.is_valid(column))
    us = pc.fill_null(column.cast(pa.timestamp("us"), safe=False).cast(pa.int64()), 0)
    us, gap, twice = localized(us.to_numpy(), zone)
    json = only(_canonical(us), present)
    why = f"a time that exists in {zone}: clocks are put forward there"
    return parted(json, cells, gap & present, why)._replace(twice=int((twice & present).sum()))


def _canonical(us: Ints) -> pa.Array:
    """Microseconds since 1970 as JSON: ISO 8601 in UTC, a fraction without zeros at its end."""
    return quoted(texts(pa.array(us, pa.timestamp("us", tz="UTC"))))


def _parsed(cells: pa.Array, pattern: str, zone: str) -> tuple[Ints, Mask, int]:
    """The instants (us) of texts without nulls, which of them are any, and how many come twice."""
    found = pc.extract_regex(cells, pattern)
    good = mask(pc.is_valid(found))
    parts = {item.name: pc.fill_null(pc.struct_field(found, item.name), "") for item in found.type}
    days, dated = _days(parts)
    time_of_day, timed = _time_of_day(parts)
    wall = days * _DAY_US + time_of_day
    zones = parts.get("zone", pa.array([""] * len(cells), pa.string()))
    us, known, twice = shifted(wall, zones, zone)
    good &= dated & timed & known
    return us, good, int((twice & good).sum())


def _number(parts: dict[str, pa.Array], name: str, default: int = 0) -> Ints:
    """A part as i8[n]; `default` where it is missing or empty."""
    if name not in parts:
        return np.full(len(next(iter(parts.values()))), default, np.int64)
    digits = pc.if_else(pc.equal(parts[name], ""), str(default), parts[name])
    numbers: Ints = digits.cast(pa.int64()).to_numpy()
    return numbers


def _days(parts: dict[str, pa.Array]) -> tuple[Ints, Mask]:
    """Days since 1970, and which dates exist."""
    month = _month(parts)
    day = _number(parts, "day", 1)
    ok = (month >= 1) & (month <= 12) & (day >= 1) & (day <= 31)
    months = (_year(parts) - 1970) * 12 + np.where(ok, month, 1) - 1
    dates = months.astype("datetime64[M]").astype("datetime64[D]") + np.where(ok, day, 1) - 1
    ok &= dates.astype("datetime64[M]").astype(np.int64) == months
    return dates.astype(np.int64), ok


def _year(parts: dict[str, pa.Array]) -> Ints:
    """Of two digits 69 to 99 are of the last century, as POSIX has it."""
    if "year2" not in parts:
        return _number(parts, "year", 1970)
    short = _number(parts, "year2", 70)
    years: Ints = short + np.where(short >= 69, 1900, 2000)
    return years


def _month(parts: dict[str, pa.Array]) -> Ints:
    if "monthname" not in parts:
        return _number(parts, "month", 1)
    names = parts["monthname"].dictionary_encode()
    numbers = [_MONTH_NUMBERS.get(name[:3].lower(), 0) for name in names.dictionary.to_pylist()]
    found: Ints = np.array([*numbers, 0], np.int64)[names.indices.to_numpy()]
    return found


def _time_of_day(parts: dict[str, pa.Array]) -> tuple[Ints, Mask]:
    """Microseconds since midnight, and which times of day exist; 24:00 is the next midnight."""
    hour, minute = _number(parts, "hour"), _number(parts, "minute")
    second, fraction = _number(parts, "second"), _fraction(parts)
    ok = (minute < 60) & (second < 60)
    us = (minute * 60 + second) * 1_000_000 + fraction
    half = pc.utf8_lower(pc.utf8_slice_codeunits(parts["half"], 0, 1)) if "half" in parts else None
    if half is not None:
        twelve = mask(pc.not_equal(half, ""))
        ok &= ~twelve | ((hour >= 1) & (hour <= 12))
        hour = np.where(twelve, hour % 12 + 12 * mask(pc.equal(half, "p")), hour)
    return hour * 3_600_000_000 + us, ok & ((hour < 24) | ((hour == 24) & (us == 0)))


def _fraction(parts: dict[str, pa.Array]) -> Ints:
    if "fraction" not in parts:
        return np.zeros(len(next(iter(parts.values()))), np.int64)
    six = pc.utf8_rpad(pc.utf8_slice_codeunits(parts["fraction"], 0, 6), 6, "0")
    numbers: Ints = six.cast(pa.int64()).to_numpy()
    return numbers
