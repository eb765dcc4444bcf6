"""A table of the database as it was a few seconds ago: keys, users."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

from tidegate.errors import ConfigError, Retry

SECONDS = 5.0
"""For so long a key or a user that has ended may still be taken."""
AGAIN = 0.5
"""Seconds between two reads for what is not known: it may be new, or guessed."""
T = TypeVar("T")


class Recent(Generic[T]):
    """What `read` gives, read again when it is asked for later. Thread-safe: one thread reads, the
    others go on with what is known, and all do while the database is away.
    """

    def __init__(self, read: Callable[[], T], clock: Callable[[], float] = time.monotonic) -> None:
        self._read, self._clock = read, clock
        self._known: T | None = None
        self._tried = float("-inf")
        self._reading = threading.Lock()

    def get(self, seconds: float = SECONDS) -> T:
        """What was read in these last seconds, or as lately as could be.

        Raises Retry when nothing could be read yet.
        """
        if self._known is None:
            seconds = min(seconds, AGAIN)
        if self._clock() - self._tried > seconds or self._known is None:
            self._refresh(seconds)
        if self._known is None:
            raise Retry("who may come in could not be read yet")
        return self._known

    def _refresh(self, seconds: float) -> None:
        """Read, unless that was tried in these last seconds. Who knows nothing yet waits for it."""
        if not self._reading.acquire(blocking=self._known is None):
            return
        try:
            if self._clock() - self._tried > seconds:
                self._tried = self._clock()
                self._known = self._read()
        except (Retry, ConfigError) as error:
            if self._known is None:
                raise Retry(f"who may come in could not be read: {error}") from error
        finally:
            self._reading.release()
