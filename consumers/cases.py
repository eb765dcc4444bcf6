"""The stage `cases`: every label becomes a row of the table `verdicts`."""

from __future__ import annotations

import msgspec

from db.cases.verdicts import VerdictRows
from tidegate.broker.records import Batch
from tidegate.messages.documents import Label, decode_label
from tidegate.pipeline import LABELS
from tidegate.stream.stage import NoState, Output, StatelessStage


class CasesStage(StatelessStage):
    """Reads labels for a `db.cases.sink.CasesSink`.

    A rollback of the learner is no label; what is neither is the learner's dead letter.
    """

    name = "cases"
    input = LABELS

    def process(self, _state: NoState, batch: Batch) -> Output:
        """Never rejects anything."""
        return Output(rows=VerdictRows(labels_in(batch)))


def labels_in(batch: Batch) -> list[tuple[int, Label]]:
    """The labels among these records, each with its offset."""
    read = zip(batch.offsets, map(_label, batch.values), strict=True)
    return [(offset, label) for offset, label in read if label]


def _label(value: bytes | None) -> Label | None:
    try:
        return decode_label(value or b"")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
