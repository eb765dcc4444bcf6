"""The one reader: from a file's name and a profile to rows as the API takes them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from model.files import places
from model.files.fields import Writing
from model.files.mapping import unknown
from model.files.rows import Rows
from model.files.shaping import Shape, shape_of
from model.files.tables import Tables
from tidegate.profile import Profile


@dataclass
class Reader:
    """The files of a place (one, a folder, a glob, a URL, `-`) read for a profile.

    `label`: the column with the verdicts; "" for the profile's, None where none are wanted. `told`
    are sentences on what was found by looking, such as a separator; complete when all rows were
    read. Raises ConfigError for a file that cannot be read, or has not the columns that the profile
    needs.
    """

    place: str
    profile: Profile
    label: str | None = None
    told: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._place = places.opened(self.place)
        self._tables = Tables(self._place, self.profile.file)
        self._shape: Shape = shape_of(self.profile, self._tables, self.place, self.label)
        self.told += self._tables.told

    @property
    def digest(self) -> str:
        """Of the content, in hexadecimal digits."""
        return self._place.digest

    @property
    def unknown(self) -> list[str]:
        """Columns that the profile does not know; complete when all rows were read."""
        return self._shape.unknown

    def rows(self, size: int = 5000) -> Iterator[Rows]:
        """All rows, at most `size` at a time. Every call reads from the start."""
        for table in self._tables.read(size):
            yield self._shape.rows(table)
