"""What is noted while a file is sent, and what became of it."""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec


class Journal(msgspec.Struct):
    """How far a file was sent: kept in `var/send`, so that an interrupted `send` can go on."""

    target: str
    """A digest of where it was sent to; a journal of another place is not this one's."""
    next: int = 0
    accepted: int = 0
    dlq: dict[int, int] = {}
    """Where the dead letters of this file begin: offset by partition."""


class Rejection(msgspec.Struct):
    """A row that the API refused. `row` counts from 1, without a header."""

    row: int
    id: str | None
    reason: str
    detail: str


@dataclass(slots=True)
class Sent:
    """What became of a file. `rows` and `dead_letters` are None when nobody waited for them."""

    posted: int = 0
    accepted: int = 0
    distinct: int = 0
    rows: int | None = None
    dead_letters: int | None = None
    rejected: int = 0
    rejections_file: str = ""
    first_rejections: list[Rejection] = field(default_factory=list)
    unknown_columns: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    """Sentences on rows that are sent, but may not be what was meant."""
    resumed_at: int = 0
    seconds: float = 0.0
