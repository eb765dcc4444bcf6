# mypy: disable-error-code="no-any-return"
# Elements of arrays are Any to mypy; numba infers every type.
"""What an event's time says: of the calendar, and since the event before. Compiled."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from model.jit import jit

Row = NDArray[np.int64]

_DAY, _HOUR = 86_400_000_000, 3_600_000_000


@jit
def since(row: Row, base: int, time: int) -> float:
    """Seconds since the newest event; then note this one."""
    last = row[base]
    row[base] = max(last, time + 1)
    return np.nan if last == 0 else max(time + 1 - last, 0) / 1e6


@jit
def calendar(part: int, time: int) -> float:
    """By number, UTC: hour_sin, hour_cos, weekday (Monday 0), is_weekend, is_night (before 7 h)."""
    angle = (time % _DAY) / _DAY * 2 * math.pi
    if part == 0:
        return math.sin(angle)
    if part == 1:
        return math.cos(angle)
    weekday = (time // _DAY + 3) % 7
    if part == 2:
        return float(weekday)
    if part == 3:
        return 1.0 if weekday >= 5 else 0.0
    return 1.0 if (time % _DAY) // _HOUR < 7 else 0.0
