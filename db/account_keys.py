"""The keys of accounts: made when an account is first seen, destroyed when it is erased.

A key lies here wrapped, by AES-256-GCM under a key that follows from the key of the tokens: who
has the database alone, or a copy of it, reads nothing. A new key is durable before anything is
encrypted by it, so no crash leaves a payload without its key.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
from collections.abc import Collection, Iterable, Mapping

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import Connection, Row, Select, event, inspect, select, text, update

from db.engine import Database, make_durable, open_database, parts, retrying
from db.tables import account_keys
from tidegate.clock import now_us
from tidegate.errors import ConfigError, Retry
from tidegate.messages.ciphertext import ID, AccountKey
from tidegate.messages.vault import Vault
from tidegate.profile import Profile

_NONCE = 12
_BITS = 256
_INSERT = text(
    "INSERT INTO account_keys (id, account, wrapped, created_us) "
    "VALUES (:id, :account, :wrapped, :created_us) ON CONFLICT (account) DO NOTHING"
)


class AccountKeys:
    """A `tidegate.messages.vault.KeySource` in the database; `secret` (32 bytes) wraps the keys.

    All methods raise Retry while the database is away, and ConfigError where it has no such table,
    or its keys were wrapped by another secret.
    """

    def __init__(self, url: str, secret: bytes) -> None:
        self._reader, self._writer = open_database(url, "read"), open_database(url)
        self._wrapping = AESGCM(secret)
        self._looked = False
        if self._writer.file is not None:
            _durable(self._writer)

    @property
    def name(self) -> str:
        return self._reader.name

    def of_accounts(self, accounts: Collection[bytes]) -> Mapping[bytes, AccountKey]:
        """The key of each account, by its token; made where there is none."""
        tokens = {hashed(account): account for account in accounts}
        found = self._held(tokens.keys())
        if missing := tokens.keys() - found.keys():
            self._make(missing)
            found |= self._held(missing)
        if len(found) < len(tokens):
            raise Retry("an account was erased while its key was made")
        return {tokens[account]: key for account, key in found.items()}

    def by_id(self, ids: Collection[bytes]) -> Mapping[bytes, AccountKey | None]:
        """The keys with these ids, None for those that are destroyed."""
        return {
            bytes(row.id): None if row.wrapped is None else self._unwrapped(row)
            for some in parts(ids)
            for row in self._read(select(account_keys).where(account_keys.c.id.in_(some)))
        }

    def close(self) -> None:
        self._reader.close()
        self._writer.close()

    def _held(self, accounts: Collection[bytes]) -> dict[bytes, AccountKey]:
        return {
            bytes(row.account): self._unwrapped(row)
            for some in parts(accounts)
            for row in self._read(select(account_keys).where(account_keys.c.account.in_(some)))
        }

    def _make(self, accounts: Iterable[bytes]) -> None:
        """A key for each that has none; another process may be first."""
        made = [self._wrapped(account) for account in sorted(accounts)]
        with retrying(self._writer), self._writer.engine.begin() as connection:
            make_durable(connection)
            connection.execute(_INSERT, made)

    def _wrapped(self, account: bytes) -> dict[str, object]:
        id_, nonce = os.urandom(ID), os.urandom(_NONCE)
        key = self._wrapping.encrypt(nonce, AESGCM.generate_key(_BITS), id_)
        return {"id": id_, "account": account, "wrapped": nonce + key, "created_us": now_us()}

    def _unwrapped(self, row: Row[tuple[object, ...]]) -> AccountKey:
        nonce, key = bytes(row.wrapped[:_NONCE]), bytes(row.wrapped[_NONCE:])
        try:
            return AccountKey(
                bytes(row.id), AESGCM(self._wrapping.decrypt(nonce, key, bytes(row.id)))
            )
        except InvalidTag:
            raise ConfigError(
                f"TIDEGATE_TOKEN_KEY is not the key by which the keys of accounts in {self.name} "
                "were wrapped: give the one that this database was written with"
            ) from None

    def _read(self, query: Select[tuple[object, ...]]) -> list[Row[tuple[object, ...]]]:
        with retrying(self._reader), self._reader.engine.connect() as connection:
            if not self._looked:
                self._look(connection)
            return list(connection.execute(query))

    def _look(self, connection: Connection) -> None:
        if not inspect(connection).has_table(account_keys.name):
            raise ConfigError(
                f"TIDEGATE_DB {self.name} has no table {account_keys.name}, where an erasable "
                "profile keeps the keys of its accounts: let it name the pipeline's database, "
                "which `tidegate up` and `tidegate setup` prepare"
            )
        self._looked = True


def vault_of(profile: Profile, url: str) -> Vault | None:
    """What encrypts and decrypts this profile's payloads; None where they are not encrypted."""
    if not profile.erasable or profile.tokens is None:
        return None
    return Vault(AccountKeys(url, profile.tokens.secret("account keys")))


def destroy(connection: Connection, account: str, at_us: int) -> int:
    """Destroy the key of an account, in the open transaction; 0 where it has none."""
    query = update(account_keys).where(account_keys.c.account == hashed(account.encode()))
    done = connection.execute(query.values(account=None, wrapped=None, destroyed_us=at_us))
    return done.rowcount


def hashed(account: bytes) -> bytes:
    """What stands for an account's token."""
    return hashlib.sha256(account).digest()


def _durable(database: Database) -> None:
    """Let SQLite have each commit on the disk before it is told: the log outlives a power cut."""

    @event.listens_for(database.engine, "connect")
    def _connect(connection: sqlite3.Connection, _record: object) -> None:
        connection.execute("PRAGMA synchronous=FULL")
