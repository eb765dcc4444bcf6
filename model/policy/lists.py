"""Lists and suppressions as sorted hashes: who is on one is a search, however long it is."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

FOREVER = np.iinfo(np.int64).max


class Membership:
    """The values of one field on a list, by their hashes u8[n], each until a time i8[n] us (0: for
    ever). Of equal ones the last counts.
    """

    def __init__(self, field: str, hashes: NDArray[np.uint64], until_us: Sequence[int]) -> None:
        self.field = field
        until = np.array(until_us, np.int64)
        until[until == 0] = FOREVER
        last_first = hashes[::-1]
        self.hashes, first = np.unique(last_first, return_index=True)
        self.until_us = until[::-1][first]

    def holds(self, hashes: NDArray[np.uint64], ingest_us: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which of n values (0: missing) are on the list, each when Kafka recorded it."""
        if not len(self.hashes):
            return np.zeros(len(hashes), np.bool_)
        place = np.searchsorted(self.hashes, hashes)
        place[place == len(self.hashes)] = 0
        found = self.hashes[place] == hashes
        return np.asarray(found & (self.until_us[place] > ingest_us))
