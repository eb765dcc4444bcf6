"""Times of ISO 8583, most of which have no year."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

from model.files.formats.entry import Fault
from model.files.formats.iso8583_fields import Message
from model.files.formats.times import day_of, nearest, written


def moment(message: Message, last_day: date | None) -> str:
    """When the message was sent (field 7, UTC); without that, the local time at the terminal.

    Raises Fault where a time cannot be read, or lies not within the year before `last_day`.
    """
    if message["7"]:
        return written(_yearless(message.digits("7", 10), "7", last_day).replace(tzinfo=UTC))
    if message.version == "1" and message["12"]:
        return written(_moment(f"20{message.digits('12', 12)}", "12"))
    if message["12"] and message["13"]:
        local = message.digits("13", 4) + message.digits("12", 6)
        return written(_yearless(local, "13", last_day))
    raise Fault("7", "missing", "has neither field 7 nor 12 and 13")


def settlement(message: Message, booked_at: str) -> str:
    """The settlement date (15), in the year in which it is nearest to the message; "" for none."""
    if not message["15"]:
        return ""
    if message.version == "1":
        return day_of(f"20{message.digits('15', 6)}", "15").isoformat()
    return nearest(message.digits("15", 4), date.fromisoformat(booked_at[:10]), "15").isoformat()


def _yearless(text: str, field: str, last_day: date | None) -> datetime:
    if last_day is None:
        raise Fault(
            field, "year", "has no year: name the file's last day, as in --last-day 2026-01-31"
        )
    end = datetime.combine(last_day, datetime.min.time()) + timedelta(days=2)
    return _latest(text, field, end)


def _latest(text: str, field: str, end: datetime) -> datetime:
    """The latest moment with this month, day and time before `end`. Raises Fault."""
    for year in range(end.year, end.year - 2, -1):
        try:
            found = datetime.strptime(f"{year}{text}", "%Y%m%d%H%M%S")
        except ValueError:
            continue
        if found < end:
            return found
    raise Fault(field, "time", "expected month, day and time of the last year")


def _moment(text: str, field: str) -> datetime:
    try:
        return datetime.strptime(text, "%Y%m%d%H%M%S")
    except ValueError:
        raise Fault(field, "time", "expected a date, and a time where the field has one") from None
