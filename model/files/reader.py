"""The one reader: from a file's name and a profile to rows as the API takes them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from model.files import places
from model.files.cell_shaping import CellShaping
from model.files.enveloped import Envelopes
from model.files.fields import Writing
from model.files.json_shaping import JsonShaping
from model.files.labels import Verdicts
from model.files.made_ids import MadeIds
from model.files.mapping import columns_of
from model.files.places import Place
from model.files.rows import Rows
from model.files.shaped import rows_of
from model.files.tables import Tables
from tidegate.profile import Profile
from tidegate.words import count


@dataclass
class Reader:
    """The files of a place (one, a folder, a glob, a URL, `-`) read for a profile.

    `label`: the column with the verdicts; "" for the profile's, None where none are wanted. Where
    it is not named, a file may lack it unless it is `needed`. `told` are sentences on what was
    found by looking, such as a separator; complete when all rows were read. Raises ConfigError for
    a file that cannot be read, or has not the columns that the profile needs.
    """

    place: str
    profile: Profile
    label: str | None = None
    form: str = ""
    """One of `places.FORMATS` where the name does not say the kind."""
    source: Place | None = None
    """Where the files lie, if `place` is only what to call them."""
    makes_ids: bool = True
    """Whether rows without an id of their own get one."""
    needed: bool = True
    """Whether a file has to have the profile's column with the verdicts."""
    told: list[str] = field(default_factory=list)
    made_ids: int = 0
    """How many rows of the latest reading had no id of their own, so far."""

    def __post_init__(self) -> None:
        self._place = self.source or places.opened(self.place, self.form)
        self._tables = Tables(self._place, self.profile.file)
        self._verdicts = Verdicts(self.profile.history, self.label, self.place, needed=self.needed)
        self._shaping = self._shaping_of(self._tables)
        self.told += self._tables.told

    @property
    def digest(self) -> str:
        """Of the content, in hexadecimal digits."""
        return self._place.digest

    @property
    def is_json(self) -> bool:
        """Whether the rows are JSON lines."""
        return self._tables.is_json

    @property
    def columns(self) -> dict[str, tuple[str, ...]]:
        """The file's columns of which each field is made; JSON lines have none."""
        return self._shaping.made_of

    @property
    def unknown(self) -> list[str]:
        """Columns that the profile does not know; complete when all rows were read."""
        return self._shaping.unknown

    @property
    def about(self) -> int | None:
        """How many rows there are, about; None where that cannot be told before reading."""
        return self._tables.about

    def rows(self, size: int = 5000) -> Iterator[Rows]:
        """All rows, at most `size` good ones at a time. Every call reads from the start.

        Raises ConfigError for what cannot be read, or for a word that is no verdict.
        """
        twice, made = 0, MadeIds(self.profile)
        envelopes = self._envelopes()
        for read in self._tables.read(size):
            table = envelopes.take_off(read) if envelopes else read
            shaped = self._shaping.shape(table)
            twice += shaped.twice
            rows = rows_of(table, shaped)
            if self.makes_ids:
                rows = made.complete(rows)
                self.made_ids = made.count
            yield rows
        self._tell(
            f"{count(twice, 'time')} of an hour that clocks show twice, when they are put back: "
            "taken for the earlier one"
            if twice
            else ""
        )
        self._tell(envelopes.sentence() if envelopes else "")

    def _envelopes(self) -> Envelopes | None:
        """What takes off the profile's envelope, which only lines of JSON may have."""
        envelope = self.profile.envelope
        if envelope is None or not self.is_json:
            return None
        return Envelopes(envelope, self._verdicts.column)

    def _shaping_of(self, tables: Tables) -> CellShaping | JsonShaping:
        decimal, thousands = tables.marks
        zone = self.profile.file.zone
        if tables.is_json:
            return JsonShaping(self.profile, Writing(decimal, thousands, zone), self._verdicts)
        self._verdicts.check(tables.names)
        columns = columns_of(self.profile, tables.names, self.place, tables.doubled)
        writing = Writing(decimal, thousands, zone, empties=tables.is_typed)
        return CellShaping(self.profile, columns, writing, self._verdicts)

    def _tell(self, told: str) -> None:
        """Tell of a reading, once however often the file is read."""
        if told and told not in self.told:
            self.told.append(told)
