"""Times of ISO 8583, most of which have no year."""

from __future__ import annotations

from datetime import UTC, date, datetime

from model.files.formats.entry import Fault
from model.files.formats.iso8583_fields import Message
from model.files.formats.times import day_of, nearest, written


def moment(message: Message, last_day: date | None) -> str:
    """When the message was sent (field 7, UTC); without that, the local time at the terminal.

    Raises Fault where a time cannot be read, or lies not within the year before `last_day`.
    """
    if message["7"]:
        return written(_sent(message, last_day).replace(tzinfo=UTC))
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


def _sent(message: Message, last_day: date | None) -> datetime:
    """Field 7, whose year follows from field 12 in version 1993."""
    text = message.digits("7", 10)
    if message.version == "1" and message["12"]:
        local = _moment(f"20{message.digits('12', 12)}", "12").date()
        return _moment(f"{nearest(text[:4], local, '7'):%Y%m%d}{text[4:]}", "7")
    return _yearless(text, "7", last_day)


def _yearless(text: str, field: str, last_day: date | None) -> datetime:
    """The latest moment with this month, day and time that is at most a day after `last_day`: the
    clock of UTC may be a day ahead. Raises Fault.
    """
    if last_day is None:
        raise Fault(
            field, "year", "has no year: name the file's last day, as in --last-day 2026-01-31"
        )
    for year in (last_day.year + 1, last_day.year, last_day.year - 1):
        try:
            found = datetime.strptime(f"{year}{text}", "%Y%m%d%H%M%S")
        except ValueError:
            continue  # 29 February, or no date at all
        if found.toordinal() <= last_day.toordinal() + 1:
            return found
    raise Fault(field, "time", "expected month, day and time of the last year")


def _moment(text: str, field: str) -> datetime:
    try:
        return datetime.strptime(text, "%Y%m%d%H%M%S")
    except ValueError:
        raise Fault(field, "time", "expected a date, and a time where the field has one") from None
