"""The time: now, and days."""

from __future__ import annotations

import time
from datetime import UTC, datetime


def now_us() -> int:
    """The wall clock in us."""
    return time.time_ns() // 1000


def monotonic_us() -> int:
    """A clock in us for waits and intervals, which nobody sets."""
    return time.monotonic_ns() // 1000


def day_of(us: int) -> str:
    """The day (UTC) of a time in us."""
    return datetime.fromtimestamp(int(us) // 1_000_000, UTC).date().isoformat()
