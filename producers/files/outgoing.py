"""Rows on their way to the API."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from model.files.reader import Reader
from model.files.rows import Rows


class Outgoing(NamedTuple):
    """Rows of a file as they are posted: `numbers` i8[n] in the file, from 1; ids and lines."""

    numbers: NDArray[np.int64]
    ids: list[str]
    lines: list[bytes]

    def at(self, places: Sequence[int] | NDArray[np.intp]) -> Outgoing:
        """Those at `places`."""
        return Outgoing(
            self.numbers[places], [self.ids[i] for i in places], [self.lines[i] for i in places]
        )

    def halves(self) -> tuple[Outgoing, Outgoing]:
        """The first half, and the second."""
        half = len(self.ids) // 2
        first = Outgoing(self.numbers[:half], self.ids[:half], self.lines[:half])
        return first, Outgoing(self.numbers[half:], self.ids[half:], self.lines[half:])


def outgoing(rows: Rows, places: NDArray[np.intp]) -> Outgoing:
    """The rows at `places`."""
    if len(places) == len(rows.ids):
        return Outgoing(rows.numbers, rows.ids, rows.lines)
    return Outgoing(rows.numbers, rows.ids, rows.lines).at(places)


def first_rows(reader: Reader, size: int, limit: int) -> Iterator[Rows]:
    """The first `limit` rows of a file (0: all), at most `size` at a time."""
    left = limit
    for rows in reader.rows(size):
        if limit and len(rows.numbers) >= left:
            yield _cut(rows, left)
            return
        left -= len(rows.numbers)
        yield rows


def _cut(rows: Rows, stop: int) -> Rows:
    numbers = rows.numbers[:stop]
    return Rows(
        numbers,
        rows.ids[:stop],
        rows.lines[:stop],
        rows.labels[:stop],
        [refusal for refusal in rows.refused if refusal.number <= numbers[-1]],
        rows.cells.slice(0, stop),
    )
