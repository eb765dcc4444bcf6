"""Ids for transactions that come without one, from what tells them apart elsewhere."""

from __future__ import annotations

import uuid

_NAMESPACE = uuid.UUID("7d1f3f0e-56a5-4c0b-9f0f-6f4a1c0a7e11")
LENGTH = 36
"""Characters of such an id."""


def derived_id(key: str, scope: str = "") -> str:
    """The same id for the same key in a scope, always (UUID version 5)."""
    namespace = uuid.uuid5(_NAMESPACE, scope) if scope else _NAMESPACE
    return str(uuid.uuid5(namespace, key))


def event_key(source: str, event_id: str) -> str:
    """What tells a CloudEvent from all others: no two of one source have the same id."""
    return f"cloudevent\n{source}\n{event_id}"
