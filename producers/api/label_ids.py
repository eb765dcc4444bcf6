"""What a verdict is known by: its label id, which belongs to a client as its transactions do."""

from __future__ import annotations

from producers.api.ids import fresh_id
from tidegate.profile.made_ids import derived_id


def label_id(scope: str, sent: str, key: str | None) -> str:
    """The label id of a verdict from a client whose ids begin with `scope`.

    Without one that was sent, it follows from `key`, what an Idempotency-Key makes of the verdict.
    """
    return scope + (sent or (derived_id(key, scope) if key else fresh_id()))


def own_label_ids(scope: str, asked: str) -> list[str]:
    """What a client may mean: the id as an answer named it, or as it was sent itself."""
    as_named = [asked] if asked.startswith(scope) else []
    return as_named + ([scope + asked] if scope else [])
