"""What the reader of files gives: rows as the API takes them, and rows that are none."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

UNKNOWN = -1
"""The label of a row without a verdict; 1 is a fraud, 0 legitimate."""


REFUSAL_COLUMNS = ("refused_row", "refused_field", "refused_reason", "refused_detail")
"""What stands before a row's own cells in a file of refused rows."""


class Refusal(NamedTuple):
    """A row that cannot be a transaction, by its number in the file (from 1, header not counted).

    `field` is the profile's, or the file's column; "" where the whole row is meant. `detail` says
    what is wrong and what to do, and shows no value: a terminal is no place for a person's data.
    """

    number: int
    field: str
    reason: str
    detail: str


class Rows(NamedTuple):
    """Some rows of a file, in its order.

    `numbers` i8[n] as in `Refusal`; `ids` the transactions' ids; `lines` each as one JSON object,
    which the profile's decoder accepts or refuses; `labels` i1[n], `UNKNOWN` where none was asked
    for; `refused` the rows among them that cannot be read (the decoder refuses their lines as well,
    but with less to say); `cells` the n rows as they stand in the file, a column of text for each
    column of the file.
    """

    numbers: NDArray[np.int64]
    ids: list[str]
    lines: list[bytes]
    labels: NDArray[np.int8]
    refused: list[Refusal]
    cells: pa.RecordBatch

    def bad(self) -> set[int]:
        """The places of the rows that are `refused`."""
        if not self.refused:
            return set()
        return set(
            np.flatnonzero(np.isin(self.numbers, [one.number for one in self.refused])).tolist()
        )
