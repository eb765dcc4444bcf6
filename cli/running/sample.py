"""A transaction that fits a profile, for the line to try."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

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
    return {
        name: _value(name, field)
        for name, field in profile.fields.items()
        if not field.optional and not field.ignored and name != profile.id_field
    }


def _value(name: str, field: Any) -> Any:  # noqa: ANN401 - whatever JSON the field takes
    makers: dict[str, Callable[[], Any]] = {
        "string": lambda: f"{name}-1",
        "category": lambda: (field.values or ["other"])[0],
        "bool": lambda: True,
        "time": lambda: datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        "vector": lambda: [0.0] * field.length,
        "integer": lambda: int(_within(field, 1)),
        "money": lambda: _within(field, 12.5),
        "number": lambda: _within(field, 1.0),
    }
    return makers[field.type]()


def _within(field: Any, wished: float) -> float:  # noqa: ANN401 - as above
    low = wished if field.min is None else max(wished, field.min)
    return low if field.max is None else min(low, field.max)
