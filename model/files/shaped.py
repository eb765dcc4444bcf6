"""What a table's rows are for a profile, before ids are made and refused rows put between them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from model.files.cells import Read
from model.files.faults import refusals
from model.files.rows import UNKNOWN, Refusal, Rows
from model.files.table_file import Table
from tidegate.profile import Profile


class Shaped(NamedTuple):
    """Of n rows the ids ("" for none), the lines, the verdicts, the cells as texts, and the rows
    among them that cannot be read. `twice`: so many times are of an hour that clocks show twice.
    """

    ids: list[str]
    lines: list[bytes]
    labels: NDArray[np.int8]
    cells: pa.RecordBatch
    refused: list[Refusal]
    twice: int


def faults(profile: Profile, reads: dict[str, Read], numbers: NDArray[np.int64]) -> list[Refusal]:
    """One for each row with a bad cell, by the first such field in the profile's order."""
    found: dict[int, Refusal] = {}
    for name, read in reads.items():
        if read.bad is not None:
            bad = pa.array(read.bad)
            rows = numbers[read.bad].tolist()
            for one in refusals(
                profile.fields[name], read, rows, read.cells.filter(bad).to_pylist()
            ):
                found.setdefault(one.number, one)
    return [found[number] for number in sorted(found)]


def rows_of(table: Table, shaped: Shaped) -> Rows:
    """The rows with those that the table had refused between them; these have no line."""
    if not table.refused:
        return Rows(table.numbers, *shaped[:3], shaped.refused, shaped.cells)
    spoilt = len(table.refused)
    numbers = np.concatenate([table.numbers, [one.number for one in table.refused]])
    order = np.argsort(numbers, kind="stable")
    ids = [*shaped.ids, *[""] * spoilt]
    lines = [*shaped.lines, *[b""] * spoilt]
    cells = pa.Table.from_batches([shaped.cells, table.spoilt]).take(pa.array(order))
    return Rows(
        numbers[order],
        [ids[place] for place in order.tolist()],
        [lines[place] for place in order.tolist()],
        np.concatenate([shaped.labels, np.full(spoilt, UNKNOWN, np.int8)])[order],
        sorted([*shaped.refused, *table.refused], key=lambda one: one.number),
        cells.combine_chunks().to_batches()[0],
    )
