"""Wall-clock times as instants: by the zone that a cell names, else by that of the column."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from model.files.cells import Mask
from tidegate.profile.file_options import offset_of

Ints = NDArray[np.int64]
_HOURS = {
    **dict.fromkeys(("Z", "UTC", "GMT", "UT", "WET"), 0.0),
    **{"EST": -5, "EDT": -4, "CST": -6, "CDT": -5, "MST": -7, "MDT": -6, "PST": -8, "PDT": -7},
    **{"AKST": -9, "AKDT": -8, "HST": -10, "WEST": 1, "CET": 1, "MEZ": 1, "CEST": 2, "MESZ": 2},
    **{"EET": 2, "EEST": 3, "MSK": 3, "JST": 9, "KST": 9, "AEST": 10, "AEDT": 11, "ACST": 9.5},
    **{"AWST": 8, "NZST": 12, "NZDT": 13, "SAST": 2, "HKT": 8, "SGT": 8, "BRT": -3},
}
"""Abbreviations in use for one offset only, those of RFC 5322 among them: no IST, no BST."""
_OFFSET = re.compile(r"(?:UTC|GMT)?([+\-\u2212])(\d{1,2})(?::?(\d{2}))?(?::?(\d{2}))?(?:\[.*\])?")


def shifted(wall_us: Ints, zones: pa.Array, default: str) -> tuple[Ints, Mask, Mask]:
    """Instants (us) of wall-clock times, each of its own zone ("": the default).

    Beside them which of them exist in a known zone, and which are of an hour that comes twice.
    """
    us, good = np.zeros_like(wall_us), np.zeros(len(wall_us), np.bool_)
    twice = np.zeros(len(wall_us), np.bool_)
    coded = zones.dictionary_encode()
    codes = coded.indices.to_numpy()
    for code, name in enumerate(coded.dictionary.to_pylist()):
        at = np.flatnonzero(codes == code)
        zone = _meaning(name, default) if name else default
        if zone is not None:
            us[at], gap, twice[at] = localized(wall_us[at], zone)
            good[at] = ~gap
    return us, good, twice


def localized(wall_us: Ints, zone: str | timedelta) -> tuple[Ints, Mask, Mask]:
    """Instants (us) of wall-clock times of one zone; which never were, and which came twice.

    Of an hour that comes twice, when clocks are put back, the first one is taken.
    """
    offset = offset_of(zone) if isinstance(zone, str) else zone
    nothing = np.zeros(len(wall_us), np.bool_)
    if zone == "UTC":
        return wall_us, nothing, nothing
    if offset is not None:
        return wall_us - offset // timedelta(microseconds=1), nothing, nothing
    wall = pa.array(wall_us, pa.timestamp("us"))
    early, late = (
        pc.assume_timezone(wall, zone, ambiguous=which, nonexistent=which)
        .cast(pa.int64())
        .to_numpy()
        for which in ("earliest", "latest")
    )
    gap = late - early == 1  # the last microsecond before clocks are put forward, and the first
    return early, gap, (late != early) & ~gap


@lru_cache(maxsize=4096)
def _meaning(name: str, default: str) -> str | timedelta | None:
    """A zone's name, or its offset; None where it is not known."""
    if found := _OFFSET.fullmatch(name):
        hours, minutes, seconds = (int(part or 0) for part in found.groups()[1:])
        size = timedelta(hours=hours, minutes=minutes, seconds=seconds)
        return -size if found[1] != "+" else size
    if (own := _own_abbreviation(name, default)) is not None:
        return own
    if name.upper() in _HOURS:
        return timedelta(hours=_HOURS[name.upper()])
    return _region(name)


def _own_abbreviation(name: str, default: str) -> timedelta | None:
    """What an abbreviation of the column's own zone means there, such as BST in Europe/London."""
    if default == "UTC" or offset_of(default) is not None:
        return None
    for month in (1, 7):
        moment = datetime(2026, month, 1, tzinfo=UTC).astimezone(ZoneInfo(default))
        if moment.tzname() == name.upper():
            return moment.utcoffset()
    return None


def _region(name: str) -> str | None:
    if "/" not in name:
        return None
    try:
        ZoneInfo(name)
    except (ValueError, OSError, KeyError):
        return None
    return name
