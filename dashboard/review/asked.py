"""Which cases are meant, read from the address; and who asks."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any, NamedTuple, cast

from flask import g, get_flashed_messages, request, session, url_for
from flask.sessions import NullSession
from flask_babel import gettext

from dashboard.transactions.asked import FIELDS, Wrong
from db.cases.desk import Person
from db.cases.filters import KINDS, STATES, Filters, State
from db.cases.remarks import LONGEST_TAG
from tidegate.access.door import is_bearer
from tidegate.errors import Retry
from tidegate.profile import Profile

LONGEST_NAME = 80
NAMES = ("state", "kind", "tag", "assignee", "min_amount", "max_amount")
"""The parameters of a filter, in the order of the address."""
_CLAIM = "review"


class Asked(NamedTuple):
    """The filter, the parameters that make it, and what is wrong with them, by name."""

    filters: Filters
    texts: dict[str, str]
    faults: dict[str, str]


def asked(profile: Profile, args: Mapping[str, str]) -> Asked:
    """The filter of an address."""
    texts = {name: args[name].strip() for name in NAMES if args.get(name, "").strip()}
    faults: dict[str, str] = {}
    values: dict[str, Any] = {}
    for name, text in texts.items():
        try:
            values[name] = _read(profile, name, text)
        except Wrong as error:
            faults[name] = str(error)
    filters = Filters(
        cast("State", values.get("state", "queue")),
        values.get("kind", ""),
        values.get("tag", ""),
        values.get("assignee", ""),
        values.get("min_amount"),
        values.get("max_amount"),
    )
    return Asked(filters, texts, faults)


def _read(profile: Profile, name: str, text: str) -> object:
    if name in ("min_amount", "max_amount"):
        return FIELDS[name](profile, text)
    if name in ("tag", "assignee"):
        return short(text, LONGEST_TAG if name == "tag" else LONGEST_NAME)
    choices: tuple[str, ...] = STATES if name == "state" else KINDS
    if text not in choices:
        raise Wrong(gettext("One of %(choices)s.", choices=", ".join(choices)))
    return text


def short(text: str, most: int) -> str:
    """A text of a form as it may be stored. Raises Wrong."""
    text = text.strip()
    if len(text) > most or not storable(text):
        raise Wrong(
            gettext("At most %(most)s characters, none of them a control character.", most=most)
        )
    return text


def storable(text: str) -> bool:
    """Whether a database takes it: lines of characters, no half of a pair."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return all(character.isprintable() or character in "\n\r\t" for character in text)


def address(endpoint: str, meant: Asked, **more: str) -> str:
    """Where the page of this filter is."""
    values: dict[str, Any] = {**meant.texts, **more}
    return url_for(endpoint, **values)


def said_before() -> str:
    """What the request before this one had to say."""
    return " ".join(map(str, get_flashed_messages()))


def person() -> Person:
    """Who asks: his name, and the claim of his browser, which its session keeps.

    Raises Retry while sessions cannot be read.
    """
    known = g.principal.name
    name = known or "dashboard"
    if is_bearer(request.headers.get("Authorization", "")):
        return Person(name, f"key {name}", audited=bool(known))
    if isinstance(session._get_current_object(), NullSession):  # type: ignore[attr-defined]
        raise Retry("sessions cannot be read: the database is away")
    if _CLAIM not in session:
        session[_CLAIM] = secrets.token_hex(12)
    return Person(name, session[_CLAIM], audited=bool(known))
