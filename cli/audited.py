"""What a command does is told to the audit, by the name of who typed it."""

from __future__ import annotations

import os
import platform
from typing import TYPE_CHECKING

from cli.options import say, typeable

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
    from db.audit import Act, tell

    if remark := tell(settings.db_url, Act(typist(), what, about, detail)):
        say(typeable(remark))
