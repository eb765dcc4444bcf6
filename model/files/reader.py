"""The one reader: from a file's name and a profile to rows as the API takes them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa

from model.files.rows import UNKNOWN, Rows
from model.history.readers import Source
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
    told: list[str] = field(default_factory=list)

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
        wanted = None
        if self.label is not None:
            wanted = read_labels(self.profile, Path(self.place), self.label)
        for chunk in self._source.chunks(0, size):
            numbers = np.arange(chunk.first + 1, chunk.first + len(chunk.ids) + 1)
            labels = np.full(len(numbers), UNKNOWN, np.int8)
            if wanted is not None:
                labels = wanted[numbers - 1]
            cells = pa.record_batch({"row": pa.array(map(bytes.decode, chunk.lines), pa.string())})
            yield Rows(numbers, chunk.ids, chunk.lines, labels, [], cells)
