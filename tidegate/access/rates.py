"""How much a client may send: a bucket of tokens for each, in this worker."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable

from tidegate.access.scopes import Principal


class Rates:
    """Buckets by the name of a client: as large as what flows in within a second. Thread-safe.

    A request is let in while its bucket is not empty, and what it holds is taken out afterwards. So
    a batch passes that is larger than the bucket, and the client waits until that is paid for.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._buckets: dict[str, tuple[float, float]] = {}
        """Tokens, and when that was."""

    def take(self, principal: Principal) -> int:
        """Take one token; 0 when there was one, else in how many seconds there will be."""
        with self._lock:
            tokens, now = self._now(principal)
            if tokens < 1:
                return math.ceil((1 - tokens) / principal.rate)
            self._buckets[principal.name] = tokens - 1, now
            return 0

    def charge(self, principal: Principal, tokens: int) -> None:
        """Take these too, whether they are there or not."""
        if principal.rate:
            with self._lock:
                left, now = self._now(principal)
                self._buckets[principal.name] = left - tokens, now

    def _now(self, principal: Principal) -> tuple[float, float]:
        now, most = self._clock(), float(principal.rate)
        tokens, since = self._buckets.get(principal.name, (most, now))
        return min(most, tokens + (now - since) * most), now
