"""One at a time: who opens cases by rows, and who closes them by verdicts."""

from __future__ import annotations

from sqlalchemy import Connection, text

_LOCK = 0x6361_7365  # "case"
SHARE = f"SELECT pg_advisory_xact_lock_shared({_LOCK})"
"""What those begin with on PostgreSQL who open cases by rows: they need not wait for each other.

More columns may follow.
"""


def lock(connection: Connection) -> None:
    """Until the open transaction ends nobody else opens or closes cases.

    SQLite has one writer anyway.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
