"""What to tell the sender of a file about its rows: made-up ids, and times in 1970."""

from __future__ import annotations

from typing import Any

import msgspec

from model.history.readers import Chunk, Source
from tidegate.profile.field_types import Time

_YEAR_1970_US = 365 * 86_400_000_000


class Remarks:
    """Looks at the chunks of one file as they are sent."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._time = source.profile.time_field or ""
        self._id_prefix = f"{source.digest[:16]}-"
        times = msgspec.defstruct("Times", [(self._time, Any, None)] if self._time else [])
        self._decode = msgspec.json.Decoder(times).decode
        self.rows = 0
        self.made_up_ids = 0
        """Rows without an id of their own."""
        self.in_1970 = 0
        """Rows whose event time lies in 1970."""

    def look(self, chunk: Chunk) -> None:
        """Count what is remarkable in these rows."""
        self.rows += len(chunk.ids)
        self.made_up_ids += sum(
            name == f"{self._id_prefix}{chunk.row(i)}" for i, name in enumerate(chunk.ids)
        )
        if self._time:
            self.in_1970 += sum(map(self._lies_in_1970, chunk.lines))

    def _lies_in_1970(self, line: bytes) -> bool:
        try:
            time = getattr(self._decode(line), self._time)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return False  # the API says what is wrong with it
        if isinstance(time, str):
            return time.startswith("1970-")
        field = self._source.profile.fields[self._time]
        if not isinstance(field, Time) or not isinstance(time, int | float):
            return False
        try:
            return field.us(time) < _YEAR_1970_US
        except ValueError:
            return False

    def sentences(self) -> list[str]:
        """What to say, if anything."""
        name, said = self._source.profile.id_field, []
        if self.made_up_ids:
            said.append(
                f"{self.made_up_ids:,} of {self.rows:,} rows have no {name}: their ids are made of "
                f"the file's content and the row number, like {self._id_prefix}0; if the file "
                "changes, they are other transactions"
            )
        if self.in_1970:
            said.append(
                f"{self.in_1970:,} of {self.rows:,} rows have a {self._time} in 1970: a number is "
                "taken for seconds since 1970-01-01 unless the field names a `unit`; in another, "
                "or counted from elsewhere, it makes windows and label delay wrong"
            )
        return said
