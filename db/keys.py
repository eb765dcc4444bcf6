"""The clients' keys: made, listed, revoked, renewed. Only their hashes are kept."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, or_, select, update

from db.audit import Act, append
from db.engine import open_database, reading_table, retrying, writing
from db.tables import keys
from tidegate.access.keys import Key, digest, new_key
from tidegate.errors import ConfigError


class KeyStore:
    """Reads the keys that hold, for a `tidegate.access.keys.KeyRing`."""

    def __init__(self, url: str) -> None:
        self._database = open_database(url, "read")

    def read(self) -> list[Key]:
        """All that were not revoked. Raises Retry, ConfigError."""
        query = select(keys).where(keys.c.revoked_us.is_(None))
        with retrying(self._database), self._database.engine.connect() as connection:
            return [_key(row) for row in connection.execute(query)]

    def close(self) -> None:
        self._database.close()


def all_keys(url: str) -> list[Key]:
    """Every key there ever was, oldest first. None where there is no table yet. Raises Retry."""
    with reading_table(url, keys.name) as connection:
        if connection is None:
            return []
        query = select(keys).order_by(keys.c.created_us, keys.c.id)
        return [_key(row) for row in connection.execute(query)]


def create(
    url: str,
    name: str,
    scopes: Sequence[str],
    now_us: int,
    expires_us: int | None = None,
    rate: int = 0,
    *,
    by: str = "tidegate",
) -> tuple[Key, str]:
    """A new key: what is kept of it, and itself, which nobody sees again.

    Raises ConfigError when a key of this name holds, Retry.
    """
    with writing(url) as connection:
        if _holding(connection, name, now_us):
            raise ConfigError(
                f"there is a key {name}: `tidegate keys rotate {name}` replaces it, "
                f"`tidegate keys revoke {name}` ends it"
            )
        made = _insert(connection, name, scopes, now_us, expires_us, rate)
        append(connection, Act(by, "key created", name, _facts(made[0])))
        return made


def rotate(
    url: str, name: str, now_us: int, overlap_us: int, *, by: str = "tidegate"
) -> tuple[Key, str]:
    """A new key with the name, scopes and rate of the one that holds; that ends `overlap_us` later.

    It lasts as long as the one before was made for. Raises ConfigError when none holds, Retry.
    """
    with writing(url) as connection:
        holding = _holding(connection, name, now_us)
        if not holding:
            raise ConfigError(f"no key {name} holds: `tidegate keys list` shows all")
        newest = holding[-1]
        ends = now_us + overlap_us
        connection.execute(
            update(keys)
            .where(
                keys.c.id.in_([key.id for key in holding]),
                or_(keys.c.expires_us.is_(None), keys.c.expires_us > ends),
            )
            .values(expires_us=ends)
        )
        lasts = newest.expires_us and newest.expires_us - newest.created_us
        expires_us = lasts and now_us + lasts
        made = _insert(connection, name, newest.scopes, now_us, expires_us, newest.rate)
        append(connection, Act(by, "key rotated", name, _facts(made[0]) | {"before_ends": ends}))
        return made


def revoke(url: str, which: str, now_us: int, *, by: str = "tidegate") -> list[Key]:
    """End the keys of this name, or the one with this id, at once; which these were.

    Raises ConfigError when none holds, Retry.
    """
    with writing(url) as connection:
        found = _holding(connection, which, now_us)
        if not found:
            raise ConfigError(f"no key {which} holds: `tidegate keys list` shows all")
        connection.execute(
            update(keys).where(keys.c.id.in_([key.id for key in found])).values(revoked_us=now_us)
        )
        append(connection, Act(by, "key revoked", which, {"ids": [key.id for key in found]}))
        return found


def _facts(key: Key) -> dict[str, Any]:
    return {"id": key.id, "scopes": key.scopes, "expires_us": key.expires_us, "rate": key.rate}


def _insert(
    connection: Connection,
    name: str,
    scopes: Sequence[str],
    now_us: int,
    expires_us: int | None,
    rate: int,
) -> tuple[Key, str]:
    made = new_key()
    key = Key(
        secrets.token_hex(4), name, digest(made), tuple(scopes), now_us, expires_us, rate=rate
    )
    connection.execute(
        keys.insert().values(
            id=key.id,
            name=name,
            hash=key.hash,
            scopes=" ".join(scopes),
            created_us=now_us,
            expires_us=expires_us,
            rate=rate,
        )
    )
    return key, made


def _holding(connection: Connection, which: str, now_us: int) -> list[Key]:
    """The keys of a name, or the one of an id, that hold, oldest first."""
    query = select(keys).where(or_(keys.c.name == which, keys.c.id == which))
    found = [_key(row) for row in connection.execute(query.order_by(keys.c.created_us, keys.c.id))]
    return [key for key in found if key.holds(now_us)]


def _key(row: Row[tuple[object, ...]]) -> Key:
    return Key(
        row.id,
        row.name,
        bytes(row.hash),
        tuple(row.scopes.split()),
        row.created_us,
        row.expires_us,
        row.revoked_us,
        row.rate,
    )
