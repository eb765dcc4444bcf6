"""The examples of bodies in the OpenAPI description: each of them is taken as it stands."""

from __future__ import annotations

from typing import Any

import msgspec

from producers.api import cloud_events
from producers.api.schemas import Json
from tidegate.profile import Profile
from tidegate.profile.file_spec import FileSpec
from tidegate.profile.sample import sample

_MOMENT_US = 1_767_268_800_000_000
"""2026-01-01 12:00 UTC: the description is the same one whenever it is asked for."""


def transaction(profile: Profile) -> Json:
    """A transaction with an id."""
    return {profile.id_field: "example-1", **sample(profile, _MOMENT_US)}


def event(profile: Profile) -> Json:
    """A CloudEvent around a transaction without an id."""
    return {
        "specversion": "1.0",
        "id": "example-1",
        "source": "/shop",
        "type": "payment.made",
        "data": sample(profile, _MOMENT_US),
    }


def batch(profile: Profile) -> dict[str, Any]:
    """Two transactions, for each media type that a batch may come in."""
    two = [transaction(profile), transaction(profile) | {profile.id_field: "example-2"}]
    lines = [msgspec.json.encode(one).decode() for one in two]
    return {
        "application/json": two,
        "application/x-ndjson": "\n".join(lines) + "\n",
        "text/csv": _csv(profile, two),
        cloud_events.MANY: [event(profile)],
    }


VERDICT = {"transaction_id": "example-1", "verdict": "fraud", "note": "chargeback"}


def verdicts(profile: Profile) -> dict[str, Any]:
    """The ways to give a verdict, each by its name."""
    whole = {"transaction": transaction(profile), "verdict": "legitimate"}
    return {"by id": VERDICT, "with the whole transaction": whole, "several": [VERDICT, whole]}


_OF_FILES = ("column", "format", "yes", "decimal_mark", "thousands")


def _csv(profile: Profile, transactions: list[Json]) -> str | None:
    """With a line of names; None where the profile says how its files are laid out."""
    fields = profile.fields.values()
    if profile.file != FileSpec() or any(
        getattr(field, option, None) for field in fields for option in _OF_FILES
    ):
        return None
    rows = [_cells(one) for one in transactions]
    lines = [list(rows[0]), *(list(row.values()) for row in rows)]
    return "".join(",".join(line) + "\n" for line in lines)


def _cells(transaction: Json) -> dict[str, str]:
    cells: dict[str, str] = {}
    for name, value in transaction.items():
        if isinstance(value, list):
            cells |= {f"{name}_{place}": str(number) for place, number in enumerate(value)}
        else:
            cells[name] = str(value).lower() if isinstance(value, bool) else str(value)
    return cells
