"""A transaction that fits a profile, for the line to try."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tidegate.clock import now_us

if TYPE_CHECKING:
    from tidegate.profile import Profile
    from tidegate.settings import Settings


def curl_line(settings: Settings, profile: Profile) -> str:
    """One command that posts a transaction and waits for its decision."""
    body = json.dumps(sample(profile))
    return (
        f"curl -s 'http://{settings.host}:{settings.port}/v1/transactions?wait_ms=2000' "
        f"-H 'Content-Type: application/json' -d '{body}'"
    )


def sample(profile: Profile) -> dict[str, Any]:
    """The required fields, less the id, with plausible values."""
    now = now_us()
    return {
        name: field.example(0.0, now)
        for name, field in profile.fields.items()
        if not field.optional and not field.ignored and name != profile.id_field
    }
