"""Rows on their way to the API."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from model.files.reader import Reader
from model.files.rows import Rows
from model.files.sifting import Ints, Sifted


class Outgoing(NamedTuple):
    """Rows of a file as they are posted: `numbers` i8[n] in the file, from 1; their event `times`
    i8[n] us; ids and lines.
    """

    numbers: Ints
    times: Ints
    ids: list[str]
    lines: list[bytes]

    def at(self, places: Sequence[int] | NDArray[np.intp]) -> Outgoing:
        """Those at `places`."""
        return Outgoing(
            self.numbers[places],
            self.times[places],
            [self.ids[i] for i in places],
            [self.lines[i] for i in places],
        )

    def halves(self) -> tuple[Outgoing, Outgoing]:
        """The first half, and the second."""
        half = len(self.ids) // 2
        return self._cut(slice(half)), self._cut(slice(half, None))

    def _cut(self, part: slice) -> Outgoing:
        return Outgoing(self.numbers[part], self.times[part], self.ids[part], self.lines[part])

    def followed_by(self, others: Outgoing) -> Outgoing:
        """These, and the others behind them."""
        return Outgoing(
            np.concatenate([self.numbers, others.numbers]),
            np.concatenate([self.times, others.times]),
            self.ids + others.ids,
            self.lines + others.lines,
        )


def outgoing(rows: Rows, sifted: Sifted) -> Outgoing:
    """The rows that the API takes."""
    places = sifted.at
    if len(places) == len(rows.ids):
        return Outgoing(rows.numbers, sifted.times, rows.ids, rows.lines)
    ids, lines = [rows.ids[i] for i in places], [rows.lines[i] for i in places]
    return Outgoing(rows.numbers[places], sifted.times, ids, lines)


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
