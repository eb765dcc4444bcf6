"""Rows between the first reading of a file and their posting, in a temporary file."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from producers.files.outgoing import Outgoing

_SCHEMA = pa.schema(
    [("number", pa.int64()), ("time", pa.int64()), ("id", pa.string()), ("line", pa.binary())]
)


class Spool:
    """Takes rows, and gives them back in their order: a file is read and its cells made JSON once.

    Of a row that was acknowledged before, only the id is kept.
    """

    def __init__(self, folder: Path) -> None:
        self._file = tempfile.TemporaryFile(prefix="spool-", dir=folder)  # noqa: SIM115 - closed by __exit__
        self._writer = pa.ipc.new_stream(pa.PythonFile(self._file, "w"), _SCHEMA)

    def add(self, rows: Outgoing, known: NDArray[np.bool_]) -> None:
        """Keep rows, of which these are `known` b[n]."""
        lines = pa.array(rows.lines, pa.binary(), mask=known)
        numbers, times = pa.array(rows.numbers), pa.array(rows.times)
        columns = [numbers, times, pa.array(rows.ids, pa.string()), lines]
        self._writer.write_batch(pa.record_batch(columns, schema=_SCHEMA))

    def rows(self) -> Iterator[tuple[Outgoing, NDArray[np.bool_]]]:
        """What was added, batch by batch. After this, nothing more can be."""
        self._writer.close()
        self._file.seek(0)
        for batch in pa.ipc.open_stream(pa.PythonFile(self._file, "r")):
            numbers, times, ids, lines = batch.columns
            known = lines.is_null().to_numpy(zero_copy_only=False)
            rows = Outgoing(
                numbers.to_numpy(), times.to_numpy(), ids.to_pylist(), lines.to_pylist()
            )
            yield rows, known

    def __enter__(self) -> Spool:
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self._writer.close()
        self._file.close()
