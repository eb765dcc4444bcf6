"""People who sign in to the results pages, and the secret that their sessions are signed by."""

from __future__ import annotations

from sqlalchemy import delete, select, update

from db.audit import Act, append
from db.engine import open_database, reading_table, retrying, writing
from db.tables import secrets, users
from tidegate.access.users import User
from tidegate.errors import ConfigError

SESSIONS = "sessions"
"""Name of the secret; a migration makes it."""


class UserStore:
    """Reads them for the results pages. Every method raises Retry and ConfigError."""

    def __init__(self, url: str) -> None:
        self._database = open_database(url, "read")

    def read(self) -> dict[str, User]:
        """All users by name."""
        with retrying(self._database), self._database.engine.connect() as connection:
            return {row.name: User(*row) for row in connection.execute(select(users))}

    def secret(self) -> bytes:
        """What sessions are signed by."""
        query = select(secrets.c.value).where(secrets.c.name == SESSIONS)
        with retrying(self._database), self._database.engine.connect() as connection:
            return bytes(connection.execute(query).scalar_one())

    def close(self) -> None:
        self._database.close()


def all_users(url: str) -> list[User]:
    """All users by name. None where there is no table yet. Raises Retry."""
    with reading_table(url, users.name) as connection:
        if connection is None:
            return []
        return [User(*row) for row in connection.execute(select(users).order_by(users.c.name))]


def add(url: str, user: User, *, by: str = "tidegate") -> None:
    """Raises ConfigError when there is one of this name, Retry."""
    with writing(url) as connection:
        known = select(users.c.name).where(users.c.name == user.name)
        if connection.execute(known).one_or_none():
            raise ConfigError(
                f"there is a user {user.name}: `tidegate users password {user.name}` gives a new "
                f"password, `tidegate users remove {user.name}` removes him"
            )
        values = {name: getattr(user, name) for name in User.__struct_fields__}
        connection.execute(users.insert().values(values))
        append(connection, Act(by, "user added", user.name, {"role": user.role}))


def set_password(url: str, name: str, password: str, now_us: int, *, by: str = "tidegate") -> None:
    """Give a new hash; sessions of the user are over. Raises ConfigError, Retry."""
    with writing(url) as connection:
        change = update(users).where(users.c.name == name)
        done = connection.execute(change.values(password=password, changed_us=now_us))
        _insist(done.rowcount, name)
        append(connection, Act(by, "password changed", name))


def remove(url: str, name: str, *, by: str = "tidegate") -> None:
    """Raises ConfigError when there is none of this name, Retry."""
    with writing(url) as connection:
        _insist(connection.execute(delete(users).where(users.c.name == name)).rowcount, name)
        append(connection, Act(by, "user removed", name))


def _insist(changed: int, name: str) -> None:
    if not changed:
        raise ConfigError(f"there is no user {name}: `tidegate users list` shows all")
