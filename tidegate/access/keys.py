"""Keys of clients: how one looks, and the ring of those that hold."""

from __future__ import annotations

import hashlib
import logging
import secrets
import time
from collections.abc import Callable, Sequence

import msgspec

from tidegate.access.recent import AGAIN, Recent
from tidegate.access.scopes import SCOPES, Principal
from tidegate.clock import now_us

_LOG = logging.getLogger(__name__)
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
    """The keys that hold, by hash. Thread-safe."""

    def __init__(
        self,
        read: Callable[[], Sequence[Key]],
        clock: Callable[[], float] = time.monotonic,
        wall_us: Callable[[], int] = now_us,
    ) -> None:
        self._keys = Recent(lambda: self._by_hash(read()), clock)
        self._wall_us = wall_us
        self._told: set[str] = set()
        """Ids of keys of which it was said that they have unknown scopes."""

    def find(self, key: str) -> Principal | None:
        """Whose key this is, None when it does not hold.

        Raises Retry when no keys could be read yet.
        """
        hashed = digest(key)
        found = self._keys.get().get(hashed) or self._keys.get(AGAIN).get(hashed)
        if not found or not found[0].holds(self._wall_us()):
            return None
        return found[1]

    def _by_hash(self, keys: Sequence[Key]) -> dict[bytes, tuple[Key, Principal]]:
        return {key.hash: (key, self._principal(key)) for key in keys}

    def _principal(self, key: Key) -> Principal:
        """Whose key it is, with those of its scopes that there are."""
        unknown = sorted(set(key.scopes) - SCOPES.keys())
        if unknown and key.id not in self._told:
            self._told.add(key.id)
            _LOG.warning(
                "the key %s (%s) has scopes that open nothing: %s",
                key.name,
                key.id,
                ", ".join(unknown),
            )
        return Principal(key.name, frozenset(SCOPES.keys() & set(key.scopes)), key.rate)
