"""JSON lines as a topic holds them: the profile's envelope is taken off, as it is in the stream."""

from __future__ import annotations

from collections import Counter

import msgspec
import numpy as np
import pyarrow as pa

from model.files.rows import Refusal
from model.files.table_file import Table, texts
from tidegate.errors import Rejected
from tidegate.profile.envelope import Envelope, Passed, row_in
from tidegate.words import count


class Envelopes:
    """Takes the envelopes off the lines of one reading.

    `label` is a column with verdicts, which is kept beside the fields of the profile.
    """

    def __init__(self, envelope: Envelope, label: str | None) -> None:
        self._envelope, self._label = envelope, label
        self._passed: Counter[str] = Counter()

    def take_off(self, table: Table) -> Table:
        """The rows inside. Lines that bring no transaction are left out and counted."""
        (name,) = table.batch.schema.names
        kept: list[int] = []
        inside: list[str] = []
        refused: dict[int, Refusal] = {}
        lines = table.batch.column(0).to_pylist()
        for place, line in enumerate(lines):
            try:
                row = self._envelope.open(line.encode())
            except Rejected as error:
                refused[place] = _refusal(int(table.numbers[place]), error)
                continue
            if isinstance(row, Passed):
                self._passed[row.kind] += 1
            else:
                kept.append(place)
                inside.append(self._with_label(row, line))
        batch = pa.RecordBatch.from_arrays([pa.array(inside, pa.string())], names=[name])
        spoilt = [*table.spoilt.column(0).to_pylist(), *(lines[place] for place in refused)]
        every = [*table.refused, *refused.values()]
        order = sorted(range(len(every)), key=lambda place: every[place].number)
        return Table(
            table.part,
            table.numbers[np.array(kept, np.intp)],
            batch,
            [every[place] for place in order],
            texts([name], [[spoilt[place]] for place in order]),
        )

    def _with_label(self, row: bytes, line: str) -> str:
        """The row, with the verdict that stands beside what the profile knows of it."""
        if self._label is None:
            return row.decode()
        try:
            document, known = msgspec.json.decode(line), msgspec.json.decode(row)
        except (msgspec.DecodeError, RecursionError):
            return row.decode()
        if not isinstance(document, dict) or self._label in known:
            return row.decode()
        said = msgspec.json.encode({self._label: row_in(document).get(self._label)})
        return (said[:-1] + (b"," if known else b"") + row[1:]).decode()

    def sentence(self) -> str:
        """What was left out; "" for nothing."""
        if not self._passed:
            return ""
        kinds = ", ".join(f"{number:,} {kind}" for kind, number in self._passed.most_common())
        return f"{count(self._passed.total(), 'record')} without a transaction left out: {kinds}"


def _refusal(number: int, error: Rejected) -> Refusal:
    """What is wrong, without what stands there."""
    return Refusal(number, "", error.reason, error.detail.partition(", got")[0])
