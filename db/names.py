"""The names behind the packed columns: they keep the rows of profiles that run no more readable."""

from __future__ import annotations

import json
from typing import NamedTuple

from sqlalchemy import Connection, select
from sqlalchemy.dialects import postgresql, sqlite

from db.tables import profiles
from tidegate.profile import Profile


class Names(NamedTuple):
    """What table `profiles` keeps of a profile; `hash` is its 8 characters."""

    hash: str
    name: str
    values: tuple[str, ...]
    detectors: tuple[str, ...]
    entities: tuple[str, ...]


def names_of(profile: Profile) -> Names:
    """The names of a loaded profile."""
    return Names(
        profile.hash.decode(),
        profile.name,
        tuple(profile.values),
        tuple(profile.models.names),
        tuple(profile.entities),
    )


def save(connection: Connection, names: Names) -> None:
    """Write them unless they are there; two processes may do so at once."""
    insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    connection.execute(
        insert(profiles)
        .values(
            hash=names.hash,
            name=names.name,
            value_names=json.dumps(names.values),
            detectors=json.dumps(names.detectors),
            entities=json.dumps(names.entities),
        )
        .on_conflict_do_nothing()
    )


def load(connection: Connection, profile: str) -> Names | None:
    """The names of the profile with this hash, None when it never wrote here."""
    row = connection.execute(select(profiles).where(profiles.c.hash == profile)).one_or_none()
    if row is None:
        return None
    return Names(
        row.hash,
        row.name,
        tuple(json.loads(row.value_names)),
        tuple(json.loads(row.detectors)),
        tuple(json.loads(row.entities)),
    )
