"""The line to try."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tidegate.clock import now_us
from tidegate.profile.sample import sample

if TYPE_CHECKING:
    from tidegate.profile import Profile
    from tidegate.settings import Settings


def curl_line(settings: Settings, profile: Profile) -> str:
    """One command that posts a transaction and waits for its decision."""
    body = json.dumps(sample(profile, now_us()))
    return (
        f"curl -s 'http://{settings.host}:{settings.port}/v1/transactions?wait_ms=2000' "
        f"-H 'Content-Type: application/json' -d '{body}'"
    )
