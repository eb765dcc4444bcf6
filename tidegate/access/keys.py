"""Keys of clients: how one looks, and the ring of those that hold, read again every few seconds."""

from __future__ import annotations

import hashlib
import secrets
import threading
import time
from collections.abc import Callable, Sequence

import msgspec

from tidegate.access.scopes import Principal
from tidegate.clock import now_us
from tidegate.errors import ConfigError, Retry

SECONDS = 5.0
"""For so long a revoked key may still be taken."""
_AGAIN = 0.5
"""Seconds between two reads for keys that are not known: they may be new, or guessed."""
_PREFIX = "tidegate_"
"""Lets people and scanners of secrets see what a leaked key is of."""


class Key(msgspec.Struct, frozen=True):
    """What the database keeps of a key: not the key, only its hash. Times in us since 1970."""

    id: str
    name: str
    hash: bytes
    scopes: tuple[str, ...]
    created_us: int
    expires_us: int | None = None
    revoked_us: int | None = None
    rate: int = 0

    def holds(self, at_us: int) -> bool:
        """Whether it opens anything at this time."""
        return self.revoked_us is None and (self.expires_us is None or at_us < self.expires_us)


def new_key() -> str:
    """A key of 256 random bits."""
    return _PREFIX + secrets.token_urlsafe(32)


def digest(key: str) -> bytes:
    """The 32 bytes by which a key is found."""
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()


class KeyRing:
    """The keys that hold, by hash. Thread-safe; one thread reads, the others go on with what is
    known.

    While the database is away the keys that were read last go on holding.
    """

    def __init__(
        self,
        read: Callable[[], Sequence[Key]],
        clock: Callable[[], float] = time.monotonic,
        wall_us: Callable[[], int] = now_us,
    ) -> None:
        self._read, self._clock, self._wall_us = read, clock, wall_us
        self._keys: dict[bytes, tuple[Key, Principal]] | None = None
        self._tried = float("-inf")
        self._reading = threading.Lock()

    def find(self, key: str) -> Principal | None:
        """Whose key this is, None when it does not hold.

        Raises Retry when no keys could be read yet.
        """
        hashed = digest(key)
        if self._clock() - self._tried > SECONDS:
            self._refresh(SECONDS)
        found = self._keys and self._keys.get(hashed)
        if not found:
            self._refresh(_AGAIN)
            found = self._known().get(hashed)
        if not found or not found[0].holds(self._wall_us()):
            return None
        return found[1]

    def _known(self) -> dict[bytes, tuple[Key, Principal]]:
        if self._keys is None:
            raise Retry("the keys could not be read yet")
        return self._keys

    def _refresh(self, seconds: float) -> None:
        """Read, unless that was tried in these last seconds. Who has no keys yet waits for them."""
        if not self._reading.acquire(blocking=self._keys is None):
            return
        try:
            if self._clock() - self._tried > seconds:
                self._tried = self._clock()
                self._take()
        finally:
            self._reading.release()

    def _take(self) -> None:
        try:
            keys = self._read()
        except (Retry, ConfigError) as error:
            if self._keys is None:
                raise Retry(f"the keys could not be read: {error}") from error
            return
        self._keys = {
            key.hash: (key, Principal(key.name, frozenset(key.scopes), key.rate)) for key in keys
        }
