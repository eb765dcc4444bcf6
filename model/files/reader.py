"""The one reader: from a file's name and a profile to rows as the API takes them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import numpy as np
import pyarrow as pa

from model.files.made_ids import MadeIds
from model.files.rows import UNKNOWN, Rows
from model.history.readers import Chunk, Source
from model.history.verdict_files import read_labels
from tidegate.profile import Profile


@dataclass
class Reader:
    """One file (later: a folder, a glob, a URL, standard input) read for a profile.

    `label`: the column with the verdicts; "" for the profile's, None where none are wanted. `told`
    are sentences on what was found by looking, such as a separator. Raises ConfigError for a file
    that cannot be read, or has not the columns that the profile needs.
    """

    place: str
    profile: Profile
    label: str | None = None
    form: str = ""
    told: list[str] = field(default_factory=list)
    made_ids: int = 0
    """How many rows of the latest reading had no id of their own, so far."""

    def __post_init__(self) -> None:
        self._source = Source(Path(self.place), self.profile)

    @property
    def digest(self) -> str:
        """Of the content, in hexadecimal digits."""
        return self._source.digest

    @property
    def unknown(self) -> list[str]:
        """Columns that the profile does not know; complete when all rows were read."""
        return self._source.unknown

    def rows(self, size: int = 5000) -> Iterator[Rows]:
        """All rows, at most `size` at a time. Every call reads from the start."""
        made = MadeIds(self.profile)
        wanted = None
        if self.label is not None:
            wanted = read_labels(self.profile, Path(self.place), self.label)
        for chunk in self._source.chunks(0, size):
            numbers = np.arange(chunk.first + 1, chunk.first + len(chunk.ids) + 1)
            labels = np.full(len(numbers), UNKNOWN, np.int8)
            if wanted is not None:
                labels = wanted[numbers - 1]
            self._unmake(chunk)
            cells = self._cells(chunk)
            made.complete(chunk.ids, chunk.lines)
            self.made_ids = made.count
            yield Rows(numbers, chunk.ids, chunk.lines, labels, [], cells)

    def _cells(self, chunk: Chunk) -> pa.RecordBatch:
        if self._source.kind == "jsonl":
            return pa.record_batch({"line": pa.array(map(bytes.decode, chunk.lines), pa.string())})
        rows = [msgspec.json.decode(line) for line in chunk.lines]
        names = dict.fromkeys(name for row in rows for name in row)
        return pa.record_batch(
            {
                name: pa.array([None if row.get(name) is None else str(row[name]) for row in rows])
                for name in names
            }
        )

    def _unmake(self, chunk: Chunk) -> None:
        """Take away the ids that `Source` has made, until it is gone."""
        for i, name in enumerate(chunk.ids):
            if name == f"{self._source.digest[:16]}-{chunk.first + i}":
                row = msgspec.json.decode(chunk.lines[i])
                del row[self.profile.id_field]
                chunk.ids[i], chunk.lines[i] = "", msgspec.json.encode(row)
