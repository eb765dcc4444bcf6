"""Ids for rows that have none, made of what the row says and how often that was said before.

So the same row has the same id in an export that has grown since, wherever it stands there: the
n-th row with some content is the same transaction always. Two rows of different files that agree in
every field are one transaction, too.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

import msgspec

from model.files.occurrences import Occurrences

if TYPE_CHECKING:
    from tidegate.profile import Profile

_DIGITS = 24
_encode = msgspec.json.Encoder().encode


class MadeIds:
    """Makes the ids of one reading of a file, from its first row on.

    An id is 96 bits of the content's keyed hash and the number of the occurrence, such as
    `0123456789abcdef01234567-1`. Among 10 billion rows two contents share those bits with a
    probability of 1 in a billion. What a row is counted by has 64 bits: should two contents share
    these, both have ids of their own nevertheless. The verdict in a column of the profile's is no
    part of the content, because it comes later than the row.
    """

    def __init__(self, profile: Profile) -> None:
        self._profile = profile
        self._label = profile.history.label
        self._occurrences = Occurrences()
        self.count = 0
        """How many were made."""

    def complete(self, ids: list[str], lines: list[bytes], bad: Collection[int] = ()) -> None:
        """Give an id to each line where `ids` holds ""; both lists are changed in place.

        The lines at the places `bad` are no rows, and stay.
        """
        places = [i for i, name in enumerate(ids) if not name and i not in bad]
        if not places:
            return
        made = self._made([self._content(lines[i]) for i in places])
        for i, name in zip(places, made, strict=True):
            ids[i], lines[i] = name, self._named(lines[i], name)
        self.count += len(places)

    def _content(self, line: bytes) -> bytes:
        """The line without the verdict."""
        if self._label not in self._profile.fields:
            return line
        row = msgspec.json.decode(line)
        return line if row.pop(self._label, None) is None else _encode(row)

    def _made(self, contents: Sequence[bytes]) -> list[str]:
        from model.hashing import join
        from model.sip import NO_SECRET, sip128

        words = sip128(*join(contents), NO_SECRET)
        numbers = self._occurrences.count(words[:, 0]).tolist()
        digits = words.astype(">u8").tobytes().hex()
        return [f"{digits[32 * i : 32 * i + _DIGITS]}-{number}" for i, number in enumerate(numbers)]

    def _named(self, line: bytes, name: str) -> bytes:
        """The object with an id; one that was empty holds nothing else."""
        rest = line[1:] if line[1:].strip() == b"}" else b"," + line[1:]
        return b"{" + _encode(self._profile.id_field) + b":" + _encode(name) + rest
