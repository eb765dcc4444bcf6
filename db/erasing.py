"""An account is erased: its rows go, its key is destroyed, hashes tell which ids there were."""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import Connection, Select, select, text

from db.account_keys import destroy
from db.answers import forget, naming
from db.audit import Act, append
from db.cases.locking import lock
from db.cases.verdicts import delete_verdicts
from db.engine import Database, open_database, parts, reading_table, retrying
from db.notify.rows import erase_deliveries
from db.retention import delete_rows
from db.tables import erased, transactions
from tidegate.clock import now_us
from tidegate.profile import Profile

_INSERT = text("INSERT INTO erased (id, erased_us) VALUES (:id, :at) ON CONFLICT (id) DO NOTHING")


class Erasure(NamedTuple):
    """How many rows went, and whether a key was destroyed: then no topic can be read any more.

    `log_emptied` is False where a reader kept SQLite's write-ahead log from being emptied, which
    may still hold what was deleted; None on PostgreSQL.
    """

    rows: int
    key: bool
    log_emptied: bool | None = None


def erase(url: str, account: str, by: str, secret: bytes = b"") -> Erasure:
    """Delete all rows of an account, what was said of them and told of it, and the first answers
    about them, and destroy its key; the audit is told how many rows, but not whose.

    `secret` (`ids_secret`) keys the hashes of their ids; without it none are kept. SQLite also
    overwrites what goes in its file. Raises Retry.
    """
    database, now = open_database(url), now_us()
    try:
        with retrying(database):
            if database.file is not None:
                _overwriting(database)
            answered = naming(database, _ids(database, account))
            with database.engine.begin() as connection:
                lock(connection)
                ids = connection.scalars(_ids_of(account)).all()
                delete_verdicts(connection, ids)
                done = Erasure(
                    delete_rows(connection, ids), bool(destroy(connection, account, now))
                )
                forget(connection, answered)
                erase_deliveries(connection, account)
                if secret:
                    _note(connection, [_hash(secret, name) for name in ids], now)
                append(connection, Act(by, "account erased", "an account", {"rows": done.rows}))
            if database.file is not None:
                done = done._replace(log_emptied=_emptied_log(database))
    finally:
        database.close()
    return done


def ids_secret(profile: Profile) -> bytes:
    """What keys the hashes of erased ids; empty where none are kept."""
    return profile.tokens.secret("erased ids") if profile.erasable and profile.tokens else b""


def erased_at(url: str, secret: bytes, ids: Sequence[str]) -> dict[str, int]:
    """Those of these transactions that were erased, and when, in us. Raises Retry."""
    found: dict[str, int] = {}
    if not secret:
        return found
    names = {_hash(secret, name): name for name in ids}
    with reading_table(url, erased.name) as connection:
        if connection is None:
            return found
        for hashes in parts(names):
            query = select(erased).where(erased.c.id.in_(hashes))
            found |= {names[bytes(row.id)]: row.erased_us for row in connection.execute(query)}
    return found


def _ids_of(account: str) -> Select[str]:
    return select(transactions.c.transaction_id).where(transactions.c.account == account)


def _ids(database: Database, account: str) -> Sequence[str]:
    with database.engine.connect() as connection:
        return connection.scalars(_ids_of(account)).all()


def _hash(secret: bytes, transaction_id: str) -> bytes:
    return hmac.digest(secret, transaction_id.encode(), "sha256")


def _note(connection: Connection, hashes: list[bytes], at_us: int) -> None:
    if hashes:
        connection.execute(_INSERT, [{"id": hash_, "at": at_us} for hash_ in hashes])


def _overwriting(database: Database) -> None:
    """Let this database's one connection fill what it deletes with zeros."""
    _pragma(database, "secure_delete=ON")


def _emptied_log(database: Database) -> bool:
    """Copy the write-ahead log into the file and empty it; False where somebody still uses it."""
    [(busy, *_)] = _pragma(database, "wal_checkpoint(TRUNCATE)")
    return not busy


def _pragma(database: Database, pragma: str) -> list[tuple[int, ...]]:
    """Outside of a transaction, in which SQLite would ignore it; the pool keeps the connection."""
    raw = database.engine.raw_connection()
    try:
        return list(raw.cursor().execute(f"PRAGMA {pragma}").fetchall())
    finally:
        raw.close()
