"""What a command does is told to the audit, by the name of who typed it."""

from __future__ import annotations

import os
import platform
from typing import TYPE_CHECKING

from cli.options import say
from tidegate.errors import ConfigError, Retry

if TYPE_CHECKING:
    from tidegate.settings import Settings


def typist() -> str:
    """Who types here, for the audit and for orders."""
    user = os.environ.get("USER") or f"user {os.getuid()}"
    return f"{user} on {platform.node()}"


def note(settings: Settings, what: str, about: str, **detail: object) -> None:
    """Tell the audit before it is done. Where there is no database, or it is away, say so and go
    on: a rollback must not wait for it.
    """
    from db.audit import Act, record

    try:
        if not record(settings.db_url, Act(typist(), what, about, detail)):
            say("there is no audit yet: `tidegate setup` makes its table")
    except (Retry, ConfigError) as error:
        say(f"not in the audit: {error}")
