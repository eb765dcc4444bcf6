"""Writing table `verdicts`."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, delete, text

from db.cases.tables import verdicts
from db.engine import parts
from tidegate.messages.documents import Label

_OF_LABEL = [each.name for each in verdicts.c if each.name != "label_offset"]
_INSERT = text(
    f"INSERT INTO verdicts ({', '.join(_OF_LABEL)}, label_offset) "  # noqa: S608 - the table's own columns
    f"VALUES (:{', :'.join(_OF_LABEL)}, :label_offset) ON CONFLICT (label_id) DO NOTHING"
)


@dataclass(frozen=True, slots=True)
class VerdictRows:
    """The labels of a batch, each with its offset, in their order."""

    labels: Sequence[tuple[int, Label]]


def insert_verdicts(connection: Connection, labels: Sequence[tuple[int, Label]]) -> None:
    """Add these labels, but those whose ids are there: the first with an id counts."""
    rows = [
        {name: getattr(label, name) for name in _OF_LABEL} | {"label_offset": offset}
        for offset, label in labels
    ]
    if rows:
        connection.execute(_INSERT, rows)


def delete_verdicts(connection: Connection, ids: Collection[str]) -> None:
    """Delete all verdicts on these transactions, in the open transaction."""
    for some in parts(ids):
        connection.execute(delete(verdicts).where(verdicts.c.transaction_id.in_(some)))
