"""Table `notify_facts`: what the stage notes for itself and for the pages."""

from __future__ import annotations

from typing import Any

import msgspec
from sqlalchemy import Connection, select
from sqlalchemy.dialects import postgresql, sqlite

from db.notify.tables import facts

SINCE, CONFIGURATION, CONDITIONS = "since_us", "configuration", "conditions"


def fact(connection: Connection, name: str) -> Any:  # noqa: ANN401 - JSON
    """What was noted under a name; None for nothing."""
    value = connection.scalar(select(facts.c.value).where(facts.c.name == name))
    return None if value is None else msgspec.json.decode(value)


def keep_fact(connection: Connection, name: str, value: object) -> None:
    """Note something under a name, in the open transaction."""
    made = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    text = msgspec.json.encode(value).decode()
    connection.execute(
        made(facts)
        .values(name=name, value=text)
        .on_conflict_do_update(index_elements=[facts.c.name], set_={"value": text})
    )
