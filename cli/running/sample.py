"""The line to try."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tidegate.access.door import asks_keys
from tidegate.clock import now_us
from tidegate.profile.sample import sample

if TYPE_CHECKING:
    from tidegate.profile import Profile
    from tidegate.settings import Settings


def curl_line(settings: Settings, profile: Profile) -> str:
    """One command that posts a transaction and waits for its decision; where a key is asked for,
    with the one in TIDEGATE_KEY.
    """
    body = json.dumps(sample(profile, now_us()))
    key = '-H "Authorization: Bearer $TIDEGATE_KEY" ' if asks_keys(settings) else ""
    return (
        f"curl -s 'http://{settings.host}:{settings.port}/v1/transactions?wait_ms=2000' "
        f"{key}-H 'Content-Type: application/json' -d '{body}'"
    )
