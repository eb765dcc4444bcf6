"""What a field may say of its column in files: where it stands, and how its cells are written.

None of these options changes what a transaction is, so a profile's hash leaves them out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import timedelta
from zoneinfo import ZoneInfo

from tidegate.profile.field import Field
from tidegate.profile.time_formats import TimeFormat

OPTIONS = frozenset({"column", "zone", "format", "decimal_mark", "thousands", "minor", "yes", "no"})
_OFFSET = re.compile(r"([+-])(\d\d):?(\d\d)")


def column_names(field: Field) -> tuple[str, ...]:
    """The columns of a file that make up the field, in their order."""
    column = field.column or field.name
    if isinstance(column, str):
        return (column,)
    return (column["debit"], column["credit"]) if isinstance(column, dict) else tuple(column)


def fault(field: Field) -> str:
    """What is wrong with the options; "" when nothing is."""
    faults = (
        _column_fault(field),
        zone_fault(getattr(field, "zone", None)),
        _format_fault(getattr(field, "format", None)),
        marks_fault(getattr(field, "decimal_mark", None), getattr(field, "thousands", None)),
        _words_fault(getattr(field, "yes", None), getattr(field, "no", None)),
    )
    return next(filter(None, faults), "")


def offset_of(zone: str) -> timedelta | None:
    """The offset from UTC that a text such as `+02:00` says; None where it is no offset."""
    found = _OFFSET.fullmatch(zone)
    if found is None:
        return None
    size = timedelta(hours=int(found[2]), minutes=int(found[3]))
    return -size if found[1] == "-" else size


def zone_fault(zone: str | None) -> str:
    """What is wrong with the name of a zone; "" when nothing is."""
    if zone is None or offset_of(zone) is not None:
        return ""
    try:
        ZoneInfo(zone)
    except (ValueError, OSError, KeyError):
        return f"zone: expected a name such as Europe/Berlin, or +02:00, got {zone!r}"
    return ""


def marks_fault(decimal_mark: str | None, thousands: str | None) -> str:
    """What is wrong with the marks in numbers; "" when nothing is."""
    for name, mark in (("decimal_mark", decimal_mark), ("thousands", thousands)):
        if mark is not None and (len(mark) > 1 or mark.isalnum() or mark in "+-()"):
            return f"{name}: expected one sign, got {mark!r}"
    if decimal_mark == "":
        return "decimal_mark: expected one sign, got ''"
    if thousands and thousands == (decimal_mark or "."):
        return f"thousands: {thousands!r} is the decimal mark already: name `decimal_mark` as well"
    return ""


def _column_fault(field: Field) -> str:
    column = field.column
    if isinstance(column, dict) and (field.type != "money" or column.keys() != {"debit", "credit"}):
        return "column: only money takes a mapping, and one of the form {debit: A, credit: B}"
    if isinstance(column, list) and field.type not in {"string", "time", "category"}:
        return f"column: a {field.type} field stands in one column"
    if column is not None and not all(column_names(field)):
        return "column: expected the name of a column"
    return ""


def _format_fault(text: str | None) -> str:
    if text is None:
        return ""
    try:
        TimeFormat.parse(text)
    except ValueError as error:
        return f"format: {error}"
    return ""


def _words_fault(yes: Iterable[object] | None, no: Iterable[object] | None) -> str:
    if (yes is None) != (no is None):
        return "`yes` and `no` belong together: name the words of both"
    both = _all_keys(yes) & _all_keys(no)
    return f"{min(both)!r} is a word for yes and for no" if both else ""


def _all_keys(words: Iterable[object] | None) -> set[str]:
    return {key for word in words or () for key in word_keys(word)}


def word_keys(word: object) -> tuple[str, ...]:
    """What a word of the profile is compared by: capitals and blanks around it do not count.

    YAML makes a bool of a bare `Yes` or `On`, so a bool stands for each of these.
    """
    if isinstance(word, bool):
        return ("true", "yes", "on") if word else ("false", "no", "off")
    return (str(word).strip().lower(),)
