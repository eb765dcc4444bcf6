"""The port behind which each kind of file is read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from model.files.columns import Columns
from model.files.marks import Marks
from model.files.rows import Refusal


class Table(NamedTuple):
    """Some rows of one file.

    `part`: the file; `numbers` i8[n]: of the rows of `batch`, from 1 on and through all files of a
    place, headers and blank lines not counted; `batch`: a column for each column of the file, all
    texts (CSV, xlsx; null where a cell is empty) or of the column's own type (Parquet), or one
    column `line` of texts (JSON lines). `refused`: rows that are not in `batch`, in their order,
    and `spoilt`: what could be read of them, as texts, in the same order.
    """

    part: str
    numbers: NDArray[np.int64]
    batch: pa.RecordBatch
    refused: list[Refusal]
    spoilt: pa.RecordBatch

    @property
    def last(self) -> int:
        """The highest number among its rows, refused or not; 0 if it has none."""
        refused = self.refused[-1].number if self.refused else 0
        return max(refused, int(self.numbers[-1]) if len(self.numbers) else 0)


class TableFile(Protocol):
    """One file, whose beginning was looked at."""

    columns: Columns
    """Of JSON lines `line` alone."""
    marks: Marks
    """Of its numbers, as the first rows show."""
    told: list[str]
    """What was found by looking."""
    footer: int
    """Rows at the end that are none, as the profile says or as was found."""
    about: int | None
    """How many rows there are: what the file says, or what its beginning lets expect; None if it
    is packed.
    """

    def tables(self, first: int, size: int) -> Iterator[Table]:
        """All rows, the first of them with the number `first`, about `size` at a time.

        Raises ConfigError.
        """


def texts(names: Sequence[str], rows: Sequence[Sequence[str | None]]) -> pa.RecordBatch:
    """Rows of cells as columns of texts."""
    if not rows:
        return pa.RecordBatch.from_arrays([pa.nulls(0, pa.string())] * len(names), list(names))
    arrays = [pa.array(list(column), pa.string()) for column in zip(*rows, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, list(names))
