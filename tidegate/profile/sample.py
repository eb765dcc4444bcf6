"""A transaction that fits a profile: the line to try, and the examples of the documentation."""

from __future__ import annotations

from typing import Any

from tidegate.profile.profile import Profile


def sample(profile: Profile, now_us: int) -> dict[str, Any]:
    """The required fields, less the id, with plausible values; the event was at `now_us`."""
    return {
        name: field.example(0.0, now_us)
        for name, field in profile.fields.items()
        if not field.optional and not field.ignored and name != profile.id_field
    }
