"""Which of PostgreSQL's roles may do what: granted with each migration, where there are such roles.

`deploy/postgres/roles.sql` makes the roles. The owner of the tables migrates; only it may change or
empty a table.
"""

from __future__ import annotations

from sqlalchemy import Connection, text

WRITE, READ, NOTIFY = "tidegate_write", "tidegate_read", "tidegate_notify"
_CASES = ("cases", "case_notes", "case_tags", "reviews")
_ROWS = ("transactions", "revisions", "profiles", "offsets", "verdicts", "search_blocks", *_CASES)
_OUTBOX = {
    "deliveries": "SELECT, INSERT, UPDATE, DELETE",
    "delivery_offsets": "SELECT, INSERT, UPDATE",
    "notify_mutes": "SELECT, INSERT, UPDATE, DELETE",
    "notify_facts": "SELECT, INSERT, UPDATE",
}
GRANTS: dict[str, dict[str, str]] = {
    NOTIFY: {**_OUTBOX, "notify_mutes": "SELECT"},
    READ: dict.fromkeys(_ROWS, "SELECT") | {"audit": "SELECT (seq, hash)"},
    WRITE: {
        "transactions": "SELECT, INSERT, DELETE",
        "revisions": "SELECT, INSERT, UPDATE, DELETE",
        "search_blocks": "SELECT, INSERT, UPDATE, DELETE",
        "profiles": "SELECT, INSERT, UPDATE",
        "offsets": "SELECT, INSERT, UPDATE",
        "keys": "SELECT, INSERT, UPDATE",
        "users": "SELECT, INSERT, UPDATE, DELETE",
        "answers": "SELECT, INSERT, UPDATE, DELETE",
        "secrets": "SELECT",
        "account_keys": "SELECT, INSERT, UPDATE",
        "erased": "SELECT, INSERT",
        "verdicts": "SELECT, INSERT, DELETE",
        "letter_groups": "SELECT, INSERT, DELETE",
        "cases": "SELECT, INSERT, UPDATE, DELETE",
        "case_notes": "SELECT, INSERT, DELETE",
        "case_tags": "SELECT, INSERT, DELETE",
        "reviews": "SELECT, INSERT, UPDATE, DELETE",
        "policy_proposals": "SELECT, INSERT, UPDATE, DELETE",
        "audit": "SELECT, INSERT",
        **_OUTBOX,
        "alembic_version": "SELECT",
    },
}
"""By role and table. What is not here is not allowed."""
_SEQUENCE = "transactions_blocks"
_OWNER = (
    "SELECT pg_get_userbyid(relowner) = current_user FROM pg_class WHERE oid = 'audit'::regclass"
)


def grant(connection: Connection) -> None:
    """Give the roles that are there exactly these rights, in the open transaction.

    Does nothing for a user who does not own the tables.
    """
    if not connection.scalar(text(_OWNER)):
        return
    known = set(connection.scalars(text("SELECT rolname FROM pg_roles")))
    for role in GRANTS.keys() & known:
        connection.execute(text(f"REVOKE ALL ON ALL TABLES IN SCHEMA public FROM {role}"))
        for table, rights in GRANTS[role].items():
            connection.execute(text(f"GRANT {rights} ON {table} TO {role}"))
        connection.execute(text(f"GRANT USAGE ON SCHEMA public TO {role}"))
    if WRITE in known:
        connection.execute(text(f"GRANT USAGE ON SEQUENCE {_SEQUENCE} TO {WRITE}"))
