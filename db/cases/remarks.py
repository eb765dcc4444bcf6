"""Notes and tags on cases."""

from __future__ import annotations

import uuid

from sqlalchemy import Connection, delete, insert, select
from sqlalchemy.dialects import postgresql, sqlite

from db.cases.desk import Desk, Person, tell
from db.cases.tables import case_notes, case_tags, cases
from db.engine import parts

LONGEST_NOTE, LONGEST_TAG = 4_000, 40


def add_note(desk: Desk, transaction_id: str, note: str, person: Person, now_us: int) -> bool:
    """Write a note on a case; False where there is no such case. Raises Retry.

    The audit knows that there is one, but not what it says.
    """
    with desk.writing() as connection:
        if not _there(connection, transaction_id):
            return False
        note_id = f"{now_us:016d}-{uuid.uuid4().hex[:8]}"
        connection.execute(
            insert(case_notes).values(
                id=note_id,
                transaction_id=transaction_id,
                written_us=now_us,
                written_by=person.name,
                note=note,
            )
        )
        tell(connection, person, "note written", transaction_id, {"note": note_id})
        return True


def add_tag(desk: Desk, transaction_id: str, tag: str, person: Person) -> bool:
    """Tag a case; False where there is no such case. Raises Retry."""
    with desk.writing() as connection:
        if not _there(connection, transaction_id):
            return False
        tag_cases(connection, [transaction_id], tag)
        tell(connection, person, "case tagged", transaction_id, {"tag": tag})
        return True


def remove_tag(desk: Desk, transaction_id: str, tag: str, person: Person) -> bool:
    """Take a tag from a case; False where it has not got it. Raises Retry."""
    table = case_tags.c
    with desk.writing() as connection:
        wanted = (table.transaction_id == transaction_id) & (table.tag == tag)
        done = connection.execute(delete(case_tags).where(wanted)).rowcount == 1
        if done:
            tell(connection, person, "tag removed", transaction_id, {"tag": tag})
        return done


def tag_cases(connection: Connection, ids: list[str], tag: str) -> None:
    """Give these cases a tag, in the open transaction; those that have it keep it."""
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    statement = dialect.insert(case_tags).on_conflict_do_nothing()
    for some in parts(ids):
        connection.execute(statement, [{"transaction_id": name, "tag": tag} for name in some])


def _there(connection: Connection, transaction_id: str) -> bool:
    query = select(cases.c.transaction_id).where(cases.c.transaction_id == transaction_id)
    return connection.scalar(query) is not None
