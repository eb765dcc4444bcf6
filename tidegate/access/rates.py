"""How much a client may send: a bucket of tokens for each, in this worker."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from typing import NamedTuple

from tidegate.access.scopes import Principal

MANY = 10_000
"""Buckets from which on those are looked for that are full again."""


class _Bucket(NamedTuple):
    """So many tokens at a time (s), of so many at most."""

    tokens: float
    since: float
    most: float

    def at(self, now: float) -> float:
        """The tokens at a later time."""
        return min(self.most, self.tokens + (now - self.since) * self.most)


class Rates:
    """Buckets by the name of a client: as large as what flows in within a second. Thread-safe.

    A request is let in while its bucket is not empty, and what it holds is taken out afterwards. So
    a batch passes that is larger than the bucket, and the client waits until that is paid for. A
    full bucket is as good as none, so clients that are gone leave nothing behind.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._buckets: dict[str, _Bucket] = {}
        self._look_at = MANY

    def __len__(self) -> int:
        """How many clients are remembered."""
        return len(self._buckets)

    def take(self, principal: Principal) -> int:
        """Take one token; 0 when there was one, else in how many seconds there will be."""
        with self._lock:
            now = self._clock()
            tokens = self._tokens(principal, now)
            if tokens < 1:
                return math.ceil((1 - tokens) / principal.rate)
            self._put(principal, tokens - 1, now)
            return 0

    def charge(self, principal: Principal, tokens: int) -> None:
        """Take these too, whether they are there or not."""
        if principal.rate:
            with self._lock:
                now = self._clock()
                self._put(principal, self._tokens(principal, now) - tokens, now)

    def _tokens(self, principal: Principal, now: float) -> float:
        most = float(principal.rate)
        bucket = self._buckets.get(principal.name, _Bucket(most, now, most))
        return bucket._replace(most=most).at(now)

    def _put(self, principal: Principal, tokens: float, now: float) -> None:
        self._buckets[principal.name] = _Bucket(tokens, now, float(principal.rate))
        if len(self._buckets) > self._look_at:
            self._buckets = {
                name: bucket
                for name, bucket in self._buckets.items()
                if bucket.at(now) < bucket.most
            }
            self._look_at = max(MANY, 2 * len(self._buckets))
