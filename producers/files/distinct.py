"""Which ids of a file come for the first time, for whoever has to be told of each once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from model.files.occurrences import Hashes, Occurrences


class Distinct:
    """Tells ids apart by hashes of 64 bits.

    After `look` at all of a file and `finish`, only those that repeat are remembered. Without, as
    where a file is posted while it is read, all are: in 12 bytes each.
    """

    def __init__(self) -> None:
        self._looked_at = bytearray()
        self._repeated: Hashes | None = None
        self._seen = Occurrences()

    def look(self, ids: Sequence[str]) -> None:
        """Take ids of the first reading: 8 bytes each until it is finished."""
        self._looked_at += _hashes(ids).tobytes()

    def finish(self) -> None:
        """Know which of all ids are there more than once."""
        hashes = np.frombuffer(self._looked_at, np.uint64)
        hashes.sort()
        self._repeated = np.unique(hashes[1:][hashes[1:] == hashes[:-1]])
        self._looked_at = bytearray()

    def first(self, ids: Sequence[str]) -> list[str]:
        """Those that no call, and no place before, has had."""
        if self._repeated is not None and not len(self._repeated):
            return list(ids)
        hashes = _hashes(ids)
        often = np.ones(len(ids), bool)
        if self._repeated is not None:
            often = np.isin(hashes, self._repeated)
        first = ~often
        first[often] = self._seen.count(hashes[often]) == 1
        return [name for name, new in zip(ids, first.tolist(), strict=True) if new]


def _hashes(ids: Sequence[str]) -> Hashes:
    """u8[n], by which this process tells ids apart."""
    return np.fromiter(map(hash, ids), np.int64, len(ids)).view(np.uint64)
