"""One at a time: who opens cases by rows, and who closes them by verdicts."""

from __future__ import annotations

from sqlalchemy import Connection, text

_LOCK = 0x6361_7365  # "case"


def lock(connection: Connection, *, shared: bool = False) -> None:
    """Until the open transaction ends; those that write rows share it.

    SQLite has one writer anyway.
    """
    if connection.dialect.name == "postgresql":
        call = "pg_advisory_xact_lock_shared" if shared else "pg_advisory_xact_lock"
        connection.execute(text(f"SELECT {call}(:key)"), {"key": _LOCK})
