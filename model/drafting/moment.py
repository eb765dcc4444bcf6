"""Which columns say when a transaction was, and in which form, zone and unit."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from model.drafting.choice import Answers, Choice, Columns, ranked, rivals
from model.drafting.evidence import FEW_ROWS, Column
from model.drafting.words import NO_TIME, TIME, ZONE, folded, says, score
from tidegate.profile.spec import DAY, SECOND, Json

_SINCE = date(2020, 1, 1)
"""Where a count begins whose beginning no file tells."""
_EPOCHS = ((9e8, 5e9, "s", SECOND), (9e11, 5e12, "ms", 1000), (9e14, 5e15, "us", 1))
_NANOSECONDS = (9e17, 5e18)
_COUNTS = {"s": SECOND, "min": 60 * SECOND, "hours": 3600 * SECOND, "days": DAY}
_EXCEL = date(1899, 12, 30), 36_526, 54_789
"""What workbooks count days from, and those of 2000 and 2050."""
_LATEST = 130 * 365 * DAY


class Moment(NamedTuple):
    """The choice of the time, and what it says of the file.

    `span` is the time from first to last in us (0: not known), `clock` whether times of the day are
    known.
    """

    choice: Choice
    span: int = 0
    clock: bool = False


def choose_time(columns: Columns, answers: Answers) -> Moment:
    """The time of the transactions, from one column or from several."""
    if "time" in answers:
        named = columns.get(answers["time"])
        return _single(columns, named, (), answers) if named else Moment(Choice())
    parts = _parts(columns)
    if parts is not None:
        return parts
    found = ranked(columns.values(), _points)
    if not found:
        return Moment(Choice())
    return _single(columns, found[0], rivals(found, _points), answers)


def _points(column: Column) -> float:
    points = score(column.key, TIME, NO_TIME)
    if says(column.key, NO_TIME):
        return 0
    if column.times is not None:
        return 4 + points + (2 if column.times.clock else 0)
    if column.typed == "time":
        return 6 + points
    varies = column.distinct > 1 or column.rows < FEW_ROWS
    numeric = column.numbers is not None and column.numbers.low >= 0 and varies
    return points if numeric else 0


def _single(columns: Columns, column: Column, others: tuple[str, ...], answers: Answers) -> Moment:
    if column.times is None and column.numbers is not None:
        return _number(column, others, answers)
    form = column.times
    if form is None:
        return Moment(Choice((column.name,), "times, as the file's type says", others=others))
    clock = next((other for other in columns.values() if other.clock), None)
    if not form.clock and clock is not None:
        return _joined(columns, column, clock)
    options = {"format": form.format} if form.format else {}
    known = form.zone or not form.clock or says(column.key, r"\b(utc|gmt)\b")
    unsure = "" if known else "no zone in the cells: taken as UTC"
    if form.unsure:
        unsure = "day and month could be the other way round"
    zone = _zone_column(columns)
    names = (column.name, zone) if zone and form.clock and not form.zone else (column.name,)
    if len(names) > 1:
        unsure = ""
        options = {key: f"{told} %Z" for key, told in options.items()}
    return Moment(
        Choice(names, f"{_written(form.format)}, {_range(form.first, form.last)}", unsure, options,
               others),
        form.last - form.first,
        form.clock,
    )  # fmt: skip


def _joined(columns: Columns, day: Column, clock: Column) -> Moment:
    """Date and time of the day in two columns, and a zone in a third if there is one."""
    form = day.times
    if form is None:
        return Moment(Choice())
    seconds = any(word.count(":") == 2 for word in clock.words)
    clock_form = " %H:%M:%S" if seconds else " %H:%M"
    options = {"format": form.format + clock_form} if form.format else {}
    names = [day.name, clock.name]
    zone = _zone_column(columns)
    if zone is not None:
        names.append(zone)
        options = {key: f"{told} %Z" for key, told in options.items()}
    unsure = "day and month could be the other way round" if form.unsure else ""
    if not unsure and zone is None:
        unsure = "no zone in the cells: taken as UTC"
    why = f"date and time apart, {_range(form.first, form.last)}"
    return Moment(Choice(tuple(names), why, unsure, options), form.last - form.first, clock=True)


def _zone_column(columns: Columns) -> str | None:
    return next((name for name in columns if says(folded(name), ZONE)), None)


def _parts(columns: Columns) -> Moment | None:
    """Year, month and day in columns of their own."""
    by_key = {column.key: column for column in columns.values()}
    if not {"year", "month", "day"} <= set(by_key):
        return None
    names = [by_key[key].name for key in ("year", "month", "day")]
    years = by_key["year"].numbers
    clock = next((column for column in columns.values() if column.clock), None)
    form = "%Y %m %d"
    if clock is not None:
        names.append(clock.name)
        form += " %H:%M:%S" if any(word.count(":") == 2 for word in clock.words) else " %H:%M"
    span = int((years.high - years.low + 1) * 365 * DAY) if years else 0
    unsure = "no zone in the cells: taken as UTC" if clock else ""
    choice = Choice(tuple(names), "year, month and day apart", unsure, {"format": form})
    return Moment(choice, span, clock is not None)


def _number(column: Column, others: tuple[str, ...], answers: Answers) -> Moment:
    numbers = column.numbers
    if numbers is None:
        return Moment(Choice())
    for low, high, unit, us in _EPOCHS:
        if low <= numbers.low and numbers.high < high:
            return _epoch(column, others, unit, us, numbers.low, numbers.high)
    if _NANOSECONDS[0] <= numbers.low and numbers.high < _NANOSECONDS[1]:
        return _epoch(column, others, "ns", 1, numbers.low / 1000, numbers.high / 1000)
    first, low, high = _EXCEL
    if (
        low <= numbers.low
        and numbers.high < high
        and says(column.key, r"date|datum|fecha|\bdata\b")
    ):
        return _excel(column, others, first, numbers.low, numbers.high)
    unit, why = _unit(column, answers)
    us = _COUNTS[unit]
    if numbers.high * us > _LATEST:
        return Moment(Choice())
    choice = Choice(
        (column.name,),
        f"numbers from {numbers.low:,.0f} to {numbers.high:,.0f}, {why}",
        f"{unit} since when? the file does not say; the time of the day depends on it",
        {"unit": unit, "since": _SINCE},
        others,
    )
    return Moment(choice, int((numbers.high - numbers.low) * us), unit != "days")


def _excel(column: Column, others: tuple[str, ...], first: date, low: float, high: float) -> Moment:
    options: dict[str, Json] = {"unit": "days", "since": first}
    clock = column.numbers is not None and not column.numbers.whole
    why = f"days as workbooks count them, from {low:,.0f} to {high:,.0f}"
    choice = Choice((column.name,), why, "", options, others)
    return Moment(choice, int((high - low) * DAY), clock)


def _epoch(
    column: Column, others: tuple[str, ...], unit: str, us: int, low: float, high: float
) -> Moment:
    first, last = int(low * us), int(high * us)
    why = f"{unit} since 1970: read so, {_range(first, last)}"
    return Moment(Choice((column.name,), why, "", {"unit": unit}, others), last - first, clock=True)


def _unit(column: Column, answers: Answers) -> tuple[str, str]:
    """What numbers of a count from somewhere count, and why that is likely."""
    if (told := answers.get("unit")) in _COUNTS:
        return str(told), "as you said"
    for word, unit in (("min", "min"), ("hour", "hours"), ("day", "days"), ("sec", "s")):
        if says(column.key, rf"\b{word}"):
            return unit, "as its name says"
    if not says(column.key, r"step|period|tick"):
        return "s", "taken as seconds"
    if _beats_daily(column.cells):
        return "hours", "which come and go every 24: hours"
    if column.rows > 500 and column.numbers and column.numbers.high >= 24:
        return "days", "without a beat of 24: days"
    return "hours", "taken as hours"


def _beats_daily(cells: pa.Array) -> bool:
    """Whether some hours of the day are much fuller than others, if these are hours."""
    steps = pc.cast(cells.drop_null(), pa.float64()).to_numpy(zero_copy_only=False)
    if len(steps) < 500 or steps.max() < 48:
        return False
    whole_days = steps[steps < steps.max() // 24 * 24].astype(np.int64)
    counts = np.bincount(whole_days % 24, minlength=24)
    return bool(counts.max() > 1.5 * max(counts.mean(), 1))


def _written(form: str) -> str:
    return f"written as {form}" if form else "ISO 8601"


def _range(first: int, last: int) -> str:
    days = (f"{datetime.fromtimestamp(us / SECOND, UTC):%Y-%m-%d}" for us in (first, last))
    return " to ".join(days)
