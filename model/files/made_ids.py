"""Ids for rows that have none, made of what the row says and how often that was said before.

So the same row has the same id in an export that has grown since, wherever it stands there: the
n-th row with some content is the same transaction always. Two rows of different files that agree in
every field are one transaction, too.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from model.files.occurrences import Occurrences

if TYPE_CHECKING:
    from model.files.rows import Rows
    from tidegate.profile import Profile

_BYTES = 12
_encode = msgspec.json.Encoder().encode


class MadeIds:
    """Makes the ids of one reading of a file, from its first row on.

    An id is 96 bits of the content's hash (BLAKE2b) and the number of the occurrence, such as
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

    def complete(self, rows: Rows) -> Rows:
        """The rows, each with an id, but for those that the reader refuses."""
        if all(rows.ids):
            return rows
        bad = rows.bad()
        places = [place for place, name in enumerate(rows.ids) if not name and place not in bad]
        if not places:
            return rows
        ids, lines = list(rows.ids), list(rows.lines)
        made = self._made([self._content(lines[place]) for place in places])
        for place, name in zip(places, made, strict=True):
            ids[place], lines[place] = name, self._named(lines[place], name)
        self.count += len(places)
        return rows._replace(ids=ids, lines=lines)

    def _content(self, line: bytes) -> bytes:
        """The line without the verdict."""
        if self._label not in self._profile.fields:
            return line
        row = msgspec.json.decode(line)
        return line if row.pop(self._label, None) is None else _encode(row)

    def _made(self, contents: Sequence[bytes]) -> list[str]:
        digests = [blake2b(content, digest_size=_BYTES).digest() for content in contents]
        hashes = np.frombuffer(b"".join(digest[:8] for digest in digests), np.uint64)
        numbers = self._occurrences.count(hashes).tolist()
        return [f"{digest.hex()}-{number}" for digest, number in zip(digests, numbers, strict=True)]

    def _named(self, line: bytes, name: str) -> bytes:
        """The object with an id; one that was empty holds nothing else."""
        rest = line[1:] if line[1:].strip() == b"}" else b"," + line[1:]
        return b"{" + _encode(self._profile.id_field) + b":" + _encode(name) + rest
