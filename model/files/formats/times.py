"""Dates and times of the formats, as ISO 8601 text."""

from __future__ import annotations

from datetime import UTC, date, datetime

from model.files.formats.entry import Fault


def iso_date(text: str, field: str) -> str:
    """A date such as `2026-01-31`. A zone, which XML allows behind one, is left out."""
    try:
        return date.fromisoformat(text[:10]).isoformat()
    except ValueError:
        raise Fault(field, "time", "expected a date such as 2026-01-31") from None


def iso_time(text: str, field: str) -> str:
    """A date and time: in UTC if it names a zone, and as it stands if not."""
    try:
        return written(datetime.fromisoformat(text))
    except (ValueError, OverflowError):
        raise Fault(field, "time", "expected a time such as 2026-01-31T12:00:00+01:00") from None


def written(moment: datetime) -> str:
    """A moment as text, to the microsecond: UTC with `Z`, or without a zone if it has none."""
    if moment.tzinfo is None:
        return moment.isoformat()
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat() + "Z"


def at_midnight(text: str) -> str:
    """A date as the time at which it begins, in whatever zone; a time as it is."""
    return f"{text}T00:00:00" if len(text) == len("2026-01-31") else text


def day_of(text: str, field: str) -> date:
    """A date written as `20260131`."""
    try:
        return datetime.strptime(text, "%Y%m%d").date()
    except ValueError:
        raise Fault(field, "time", "has a date that is not in the calendar") from None


def nearest(month_day: str, other: date, field: str) -> date:
    """The date with this month and day (`0131`) that lies nearest to the other one."""
    found = []
    for year in (other.year - 1, other.year, other.year + 1):
        try:
            found.append(datetime.strptime(f"{year}{month_day}", "%Y%m%d").date())
        except ValueError:
            continue  # 29 February, or no date at all
    if not found:
        raise Fault(field, "time", "has a month and day that are not in the calendar")
    return min(found, key=lambda day: abs(day - other))
