"""People who sign in to the results pages: their roles, their passwords, and how often they try."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from functools import cache

import msgspec
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from tidegate.access.scopes import SCOPES, Principal

ROLES = {
    "viewer": ("read",),
    "analyst": ("read", "review"),
    "operator": ("ingest", "read", "review", "models"),
    "admin": tuple(SCOPES),
}
"""Each role, and its scopes."""
SHORTEST = 12
"""Characters of a password."""
_HASHER = PasswordHasher()  # Argon2id with the settings of RFC 9106 for little memory
_AT_ONCE = threading.BoundedSemaphore(2)
"""Each check takes 64 MiB and a tenth of a second of all cores."""
_FREE = 5
_LONGEST = 60.0


class User(msgspec.Struct, frozen=True):
    """What the database keeps; `changed_us`: sessions that began before are over."""

    name: str
    password: str
    role: str
    changed_us: int

    def principal(self) -> Principal:
        """What the role allows; a role that is not known allows nothing."""
        return Principal(self.name, frozenset(ROLES.get(self.role, ())))


def hashed(password: str) -> str:
    """What is kept of a password: Argon2id, its salt and its settings."""
    return _HASHER.hash(password)


def is_password(user: User | None, password: str) -> bool:
    """Whether the password is this user's; for nobody it takes as long to say no."""
    with _AT_ONCE:
        try:
            _HASHER.verify(user.password if user else _nobodys(), password)
        except (VerificationError, InvalidHashError):
            return False
    return user is not None


@cache
def _nobodys() -> str:
    return _HASHER.hash("the password of a user who is not there")


class Throttle:
    """Lets a name try five passwords, and then one after 1, 2, 4 and at most 60 s. Thread-safe.

    It remembers `most` names; the oldest go first.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic, most: int = 10_000) -> None:
        self._clock, self._most = clock, most
        self._lock = threading.Lock()
        self._failed: dict[str, tuple[int, float]] = {}

    def begin(self, name: str) -> int:
        """0 and a failure noted, until `succeeded` takes it back; else the seconds to wait."""
        with self._lock:
            now = self._clock()
            count, until = self._failed.pop(name, (0, now))
            if now < until:
                self._failed[name] = count, until
                return math.ceil(until - now)
            wait = 0.0 if count + 1 < _FREE else min(_LONGEST, 2.0 ** min(count + 1 - _FREE, 10))
            self._failed[name] = count + 1, now + wait
            while len(self._failed) > self._most:
                del self._failed[next(iter(self._failed))]
            return 0

    def succeeded(self, name: str) -> None:
        """Forget the failures of a name."""
        with self._lock:
            self._failed.pop(name, None)
