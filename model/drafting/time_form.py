"""How the times of a column are written."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import NamedTuple

_ISO = re.compile(
    r"\d{4}-\d{2}-\d{2}([T ]\d{2}:?\d{2}(:?\d{2}([.,]\d+)?)?)? ?(?P<zone>Z|[+-]\d{2}(:?\d{2})?)?"
)
_CLOCK = re.compile(r"\d{1,2}:\d{2}(:\d{2}(\.\d+)?)?")
_CLOCKS = ("", " %H:%M:%S", " %H:%M", " %H:%M:%S.%f", " %I:%M:%S %p", " %I:%M %p", "T%H:%M:%S")
_DAYS = (
    "%d.%m.%Y", "%d.%m.%y", "%m/%d/%Y", "%d/%m/%Y", "%m/%d/%y", "%d/%m/%y", "%Y/%m/%d", "%Y.%m.%d",
    "%d-%m-%Y", "%m-%d-%Y", "%d-%b-%Y", "%d/%b/%Y", "%d %b %Y", "%d-%b-%y", "%b %d, %Y", "%d %B %Y",
    "%B %d, %Y",
)  # fmt: skip
_PACKED = {"%Y%m%d": 8, "%Y%m%d%H%M": 12, "%Y%m%d%H%M%S": 14}
"""Forms of digits alone, each with how many there are."""
_WITH_SECONDS = 14
_LATEST = datetime(2200, 1, 1, tzinfo=UTC)
_SWAPPED = {"%m/%d/%Y": "%d/%m/%Y", "%m/%d/%y": "%d/%m/%y", "%d-%m-%Y": "%m-%d-%Y"}


class TimeForm(NamedTuple):
    """What a column of times looks like.

    `format` is strptime's, "" for ISO 8601; `first` and `last` bound the times (us since 1970, UTC
    where no cell names a zone). `clock`: times of the day are among them. `unsure`: day and month
    may be the other way round.
    """

    format: str
    first: int
    last: int
    clock: bool
    zone: bool
    unsure: bool = False


def time_form(cells: Sequence[str]) -> TimeForm | None:
    """The form in which every one of the cells is a date or a time; None where there is none."""
    if not cells:
        return None
    if all(_ISO.fullmatch(cell) for cell in cells):
        return _iso(cells)
    for form in (day + clock for day in _DAYS for clock in _CLOCKS):
        if _parsed(cells[:1], form) and (times := _parsed(cells, form)):
            day = form.split(" %H")[0].split(" %I")[0]
            swapped = form.replace(day, _SWAPPED.get(day, ""))
            unsure = day in _SWAPPED and bool(_parsed(cells, swapped))
            return TimeForm(form, min(times), max(times), day != form, zone=False, unsure=unsure)
    return None


def packed_form(cells: Sequence[str], *, named: bool) -> TimeForm | None:
    """Dates of digits alone, such as 20260131. Without seconds they may be any numbers, so only
    where the column's name says that it holds dates.
    """
    for form, digits in _PACKED.items():
        if any(len(cell) != digits for cell in cells) or not (named or digits == _WITH_SECONDS):
            continue
        times = _parsed(cells, form)
        if times and min(times) > 0 and max(times) < _us(_LATEST):
            return TimeForm(form, min(times), max(times), form != "%Y%m%d", zone=False)
    return None


def is_clock(cells: Sequence[str]) -> bool:
    """Whether all cells are times of the day alone, such as 07:47:30."""
    return bool(cells) and all(_CLOCK.fullmatch(cell) for cell in cells)


def _iso(cells: Sequence[str]) -> TimeForm | None:
    times = []
    for cell in cells:
        text = re.sub(r"([.,]\d{6})\d+", r"\1", cell).replace(",", ".")
        try:
            times.append(_us(datetime.fromisoformat(text)))
        except ValueError:
            return None
    zone = any((match := _ISO.fullmatch(cell)) and match["zone"] for cell in cells)
    return TimeForm("", min(times), max(times), any(len(cell) > 10 for cell in cells), bool(zone))


def _parsed(cells: Sequence[str], form: str) -> list[int]:
    """The times in us; empty where one of the cells does not have the form."""
    try:
        return [_us(datetime.strptime(cell, form)) for cell in cells]
    except ValueError:
        return []


def _us(time: datetime) -> int:
    aware = time if time.tzinfo else time.replace(tzinfo=UTC)
    return round(aware.timestamp() * 1_000_000)
