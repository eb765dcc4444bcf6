"""What time it is by the clock that stamps the records."""

from __future__ import annotations

from collections.abc import Callable

from tidegate.broker.records import Batch


class LogTime:
    """The newest record timestamp, and what has passed since by a clock that nobody sets.

    A process whose own clock is wrong waits as long as others do. `monotonic` gives us.
    """

    def __init__(self, monotonic: Callable[[], int]) -> None:
        self._monotonic = monotonic
        self._newest_us = self._seen_us = 0

    def __call__(self, batch: Batch) -> int:
        """The time in us at which a batch is looked at, none of whose records lies ahead of it."""
        now = self._monotonic()
        passed = self._newest_us + now - self._seen_us if self._newest_us else 0
        self._newest_us = max(passed, max(batch.timestamps, default=0) * 1000)
        self._seen_us = now
        return self._newest_us
