"""Times of OFX: `20260131`, `20260131120000.000[-5:EST]`, GMT where no zone is named."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

from model.files.formats.entry import Fault
from model.files.formats.times import day_of

_TIME = re.compile(
    r"(\d{8})(?:(\d{4})(\d\d)?(?:\.(\d{1,6}))?)?(?:\[([+-]?)(\d{1,2})(?:\.(\d{1,2}))?(?::[^\]]*)?\])?",
    re.ASCII,
)
_MINUTES = {
    "": 0,
    "0": 0,
    "00": 0,
    "25": 15,
    "5": 30,
    "50": 30,
    "75": 45,
    "15": 15,
    "30": 30,
    "45": 45,
}
"""Minutes of a fraction of an hour. Offsets are quarters of hours, so `.30` can only be minutes."""


def ofx_time(text: str, field: str) -> str:
    """The moment in UTC, or the date where there is no time. Raises Fault."""
    match = _TIME.fullmatch(text)
    if match is None:
        raise Fault(field, "time", "expected a time such as 20260131120000[-5:EST]")
    day, clock, seconds, fraction, sign, hours, part = match.groups(default="")
    if not clock:
        return day_of(day, field).isoformat()
    if part not in _MINUTES or int(hours or 0) > 14:
        raise Fault(field, "time", "expected an offset of quarters of hours, such as [+5.5:IST]")
    offset = timedelta(hours=int(hours or 0), minutes=_MINUTES[part])
    try:
        local = datetime.strptime(f"{day}{clock}{seconds or '00'}", "%Y%m%d%H%M%S")
        moment = local + offset if sign == "-" else local - offset
    except (ValueError, OverflowError):
        raise Fault(field, "time", "has a time that is not in the calendar") from None
    moment = moment.replace(microsecond=int(fraction.ljust(6, "0")) if fraction else 0)
    return moment.isoformat() + "Z"
