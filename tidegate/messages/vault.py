"""Encrypts and decrypts the payloads of a batch, with the keys of accounts at hand."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from typing import Generic, Protocol, TypeVar

from tidegate.errors import Retry
from tidegate.messages.ciphertext import ERASED, AccountKey, is_closed, key_id

SECONDS = 5.0
"""How long after it was read a key is used. So a destroyed one is used for that long at most."""
_MOST = 50_000
"""Keys that are at hand at once, some 400 bytes each."""
K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class KeySource(Protocol):
    """Where the keys are kept. All methods may raise Retry."""

    @property
    def name(self) -> str:
        """What it is called, for messages."""
        ...

    def of_accounts(self, accounts: Collection[bytes]) -> Mapping[bytes, AccountKey]:
        """The key of each account, made where there is none."""
        ...

    def by_id(self, ids: Collection[bytes]) -> Mapping[bytes, AccountKey | None]:
        """The keys with these ids, None for a destroyed one; one that is not known is left out."""
        ...

    def close(self) -> None: ...


class Vault:
    """The keys of one deployment. Thread-safe. `clock` gives s."""

    def __init__(self, source: KeySource, clock: Callable[[], float] = time.monotonic) -> None:
        self._source = source
        self._of_accounts = _AtHand(source.of_accounts, clock)
        self._by_id = _AtHand(source.by_id, clock)

    def encrypt(self, accounts: Sequence[bytes], payloads: Sequence[bytes]) -> list[bytes]:
        """Each payload, encrypted by the key of its account. Raises Retry."""
        keys = self._of_accounts.get(set(accounts))
        return [
            keys[account].encrypt(payload)
            for account, payload in zip(accounts, payloads, strict=True)
        ]

    def encrypt_plain(
        self, records: Sequence[tuple[bytes | None, bytes | None]]
    ) -> list[bytes | None]:
        """The values of records, whose keys are accounts, each encrypted by the key of its account.

        What is encrypted already stays, and so does what has no account or no value. Raises Retry.
        """
        values = [value for _, value in records]
        plain = {
            place: (account, value)
            for place, (account, value) in enumerate(records)
            if account and value and not is_closed(value)
        }
        accounts, payloads = [[pair[k] for pair in plain.values()] for k in (0, 1)]
        for place, value in zip(plain, self.encrypt(accounts, payloads), strict=True):
            values[place] = value
        return values

    def decrypt(self, values: Sequence[bytes | None]) -> list[bytes | None]:
        """The values, with payloads in place of what is encrypted; `ERASED` for a destroyed key.

        What no key opens stays as it is, and is then `is_closed`. Raises Retry.
        """
        opened, _ = self._opened(values)
        return opened

    def decrypt_known(self, values: Sequence[bytes | None]) -> list[bytes | None]:
        """The same of what nobody outside can have written: raises Retry for an unknown key too."""
        opened, unknown = self._opened(values)
        if unknown:
            raise Retry(
                f"a payload is encrypted by key {min(unknown).hex()}, which the database "
                f"{self._source.name} never had: let TIDEGATE_DB name the database that this log "
                "was written with. If that was put back from a copy, take one that is not older "
                "than the log. Nothing is lost meanwhile"
            )
        return opened

    def erased(self, values: Sequence[bytes]) -> list[bool]:
        """Which of these are encrypted by a destroyed key; nothing is decrypted. Raises Retry."""
        ids = list(map(key_id, values))
        keys = self._by_id.get({id_ for id_ in ids if id_ is not None})
        return [id_ in keys and keys[id_] is None for id_ in ids]

    def close(self) -> None:
        """Close what the keys are read from."""
        self._source.close()

    def _opened(self, values: Sequence[bytes | None]) -> tuple[list[bytes | None], set[bytes]]:
        """The values as `decrypt` gives them, and the ids of the keys that are not known."""
        ids = list(map(key_id, values))
        wanted = {id_ for id_ in ids if id_ is not None}
        keys = self._by_id.get(wanted)
        opened = [
            value if value is None or id_ not in keys else _open(value, keys[id_])
            for value, id_ in zip(values, ids, strict=True)
        ]
        return opened, wanted - keys.keys()


def _open(value: bytes, key: AccountKey | None) -> bytes:
    if key is None:
        return ERASED
    payload = key.decrypt(value)
    return value if payload is None else payload


class _AtHand(Generic[K, V]):
    """What `read` gave in the last seconds, and what it gives now of the others."""

    def __init__(
        self, read: Callable[[Collection[K]], Mapping[K, V]], clock: Callable[[], float]
    ) -> None:
        self._read, self._clock = read, clock
        self._known: dict[K, tuple[V, float]] = {}
        self._lock = threading.Lock()

    def get(self, wanted: set[K]) -> dict[K, V]:
        """Of those that there are. Raises Retry."""
        now = self._clock()  # before the look-up: what is read is not younger than that
        with self._lock:
            found = {key: self._known[key] for key in wanted if key in self._known}
        fresh = {key: value for key, (value, at) in found.items() if now - at < SECONDS}
        if missing := wanted - fresh.keys():
            read = self._read(missing)
            fresh.update(read)
            with self._lock:
                if len(self._known) + len(read) > _MOST:
                    self._known.clear()
                self._known.update({key: (value, now) for key, value in read.items()})
        return fresh
