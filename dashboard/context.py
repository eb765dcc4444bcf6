"""What every page needs: the stores and boards of the running application."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

from flask import current_app

from dashboard.newest import Live
from dashboard.provider import Provider
from db.audit import AuditLog
from db.keys import KeyStore
from db.store import Store
from db.users import UserStore
from model.bundles.past_policies import Policies
from model.bundles.registry import Registry
from tidegate.access.door import Door
from tidegate.access.recent import Recent
from tidegate.access.users import User
from tidegate.broker.ports import Broker, Producer
from tidegate.broker.tail import Tail
from tidegate.errors import Retry
from tidegate.messages.vault import Vault
from tidegate.profile import Profile
from tidegate.settings import Settings
from tidegate.status.board import Board

KEY = "tidegate"


@dataclass(slots=True)
class Context:
    """The parts of the application."""

    settings: Settings
    profile: Profile
    store: Store
    broker: Broker
    producer: Producer
    live: Live
    board: Board
    registry: Registry
    policies: Policies
    """Of any time."""
    tails: list[Tail]
    door: Door
    users: Recent[dict[str, User]]
    """Who may sign in, by name; none where nobody has to."""
    provider: Provider | None
    """Of identities, where there is one."""
    audit: AuditLog
    databases: list[KeyStore | UserStore | AuditLog | Vault]


def here() -> Context:
    """The parts of the application that answers this request."""
    return cast(Context, current_app.extensions[KEY])


def health(context: Context) -> dict[str, Any]:
    """Whether all stages are served, and what is missing."""
    missing = [tail.problem for tail in context.tails if tail.problem]
    try:
        missing = missing or context.board.missing()
    except Retry as error:
        missing.append(f"Kafka is away: {error}")
    return {"ready": not missing, "missing": missing}
