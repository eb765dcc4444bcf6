"""Writing table `verdicts`."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, delete, text

from db.cases.tables import verdicts
from db.engine import parts
from tidegate.messages.documents import Label

_INSERT = text(
    "INSERT INTO verdicts (label_id, transaction_id, fraud, source, weight, given_us, event_us, "
    "label_offset) VALUES (:label_id, :transaction_id, :fraud, :source, :weight, :given_us, "
    ":event_us, :label_offset) ON CONFLICT (label_id) DO NOTHING"
)


@dataclass(frozen=True, slots=True)
class VerdictRows:
    """The labels of a batch, each with its offset, in their order."""

    labels: Sequence[tuple[int, Label]]


def insert_verdicts(connection: Connection, labels: Sequence[tuple[int, Label]]) -> None:
    """Add these labels, but those whose ids are there: the first with an id counts."""
    rows = [
        {
            "label_id": label.label_id,
            "transaction_id": label.transaction_id,
            "fraud": label.fraud,
            "source": label.source,
            "weight": label.weight,
            "given_us": label.given_us,
            "event_us": label.event_us,
            "label_offset": offset,
        }
        for offset, label in labels
    ]
    if rows:
        connection.execute(_INSERT, rows)


def delete_verdicts(connection: Connection, ids: Collection[str]) -> None:
    """Delete all verdicts on these transactions, in the open transaction."""
    for some in parts(ids):
        connection.execute(delete(verdicts).where(verdicts.c.transaction_id.in_(some)))
