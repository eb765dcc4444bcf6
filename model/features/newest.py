# mypy: disable-error-code="no-any-return"
# Elements of arrays are Any to mypy; numba infers every type.
"""A memory, bounded by number, of the newest labels and of the verdict that holds on each
transaction.

It is two generations of open-addressing tables: when the current one is full it becomes the one
before, and what only the one before knew is forgotten. Generations end by count, so that the log
alone decides it. The first two words of a row are a hash of 128 bits, the first never 0.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from model.features.id_tables import NEW, OTHER, SAME
from model.jit import jit
from model.verdicts import holds

Table = NDArray[np.int64]
LABEL, VERDICT = 2, 5
"""Words of a row: (label high, low), or (transaction high, low, given_us, label, 1 + fraud)."""
_GIVEN, _LABEL, _FRAUD = range(2, VERDICT)
_START = 1024


@jit
def _find(table: Table, rows: Table, i: int) -> int:
    """The slot that holds the key of row `i`, or the free slot where it belongs."""
    mask = len(table) - 1
    high, low = rows[i, 0], rows[i, 1]
    slot = low & mask
    while table[slot, 0] != 0 and (table[slot, 0] != high or table[slot, 1] != low):
        slot = (slot + 1) & mask
    return slot


@jit
def _copy(to: Table, slot: int, rows: Table, i: int) -> None:
    for k in range(rows.shape[1]):
        to[slot, k] = rows[i, k]


@jit
def _take(
    current: Table,
    previous: Table,
    room: int,
    rows: Table,
    start: int,
    out: NDArray[np.int8],
    slots: NDArray[np.int64],
    changes: Table,
) -> tuple[int, int, int]:
    """Take rows from `start` on, adding at most `room` keys.

    `out[i]` says whether row i is the first with its key (NEW), changes nothing (SAME), or turns
    the verdict before it round (OTHER). `slots` takes the slots of `current` that were filled,
    `changes` (generation, slot, then the old row) what was replaced. Returns where it stopped, and
    both counts.
    """
    added = changed = 0
    for i in range(start, len(rows)):
        table, generation = current, 0
        slot = _find(current, rows, i)
        if current[slot, 0] == 0:
            old = _find(previous, rows, i)
            if previous[old, 0] == 0:
                if added == room:
                    return i, added, changed
                _copy(current, slot, rows, i)
                slots[added] = slot
                added += 1
                out[i] = NEW
                continue
            table, generation, slot = previous, 1, old
        out[i] = SAME
        if rows.shape[1] == VERDICT and holds(
            rows[i, _GIVEN], rows[i, _LABEL], table[slot, _GIVEN], table[slot, _LABEL]
        ):
            if rows[i, _FRAUD] != table[slot, _FRAUD]:
                out[i] = OTHER
            changes[changed, 0], changes[changed, 1] = generation, slot
            for k in range(rows.shape[1]):
                changes[changed, 2 + k] = table[slot, k]
            changed += 1
            _copy(table, slot, rows, i)
    return len(rows), added, changed


@jit
def _refill(table: Table, entries: Table) -> None:
    """Fill an empty table from entries, or from another table."""
    for i in range(len(entries)):
        if entries[i, 0] != 0:
            _copy(table, _find(table, entries, i), entries, i)


class Newest:
    """Remembers the newest `limit` to `2 * limit` rows of `words` words: LABEL, or VERDICT, where
    of two with one key the one that holds stays.
    """

    def __init__(self, words: int, limit: int) -> None:
        self.words, self.limit = words, limit
        self.current, self.previous = self._empty(_START), self._empty(_START)
        self.count = 0
        self._undo: list[tuple[Table, Table, int, NDArray[np.int64], Table]] = []

    def begin(self) -> None:
        """What comes from here on can be undone."""
        self._undo.clear()

    def rollback(self) -> None:
        """Everything as it was at `begin`."""
        for current, previous, count, slots, changes in reversed(self._undo):
            for change in changes[::-1]:
                (previous if change[0] else current)[change[1]] = change[2:]
            current[slots] = 0
            self.current, self.previous, self.count = current, previous, count
        self._undo.clear()

    def take(self, rows: Table) -> NDArray[np.int8]:
        """Take rows i8[n, words] in order; NEW, SAME or OTHER for each, as `_take` says."""
        out = np.zeros(len(rows), np.int8)
        done = 0
        while done < len(rows):
            room = min(self.limit, len(self.current) // 2) - self.count
            slots = np.empty(len(rows) - done, np.int64)
            changes = np.empty((len(rows) - done, 2 + self.words), np.int64)
            done, added, changed = _take(
                self.current, self.previous, room, rows, done, out, slots, changes
            )
            self._undo.append(
                (self.current, self.previous, self.count, slots[:added], changes[:changed])
            )
            self.count += added
            if done < len(rows):
                self._make_room()
        return out

    def _make_room(self) -> None:
        if self.count >= self.limit:
            self.current, self.previous, self.count = self._empty(_START), self.current, 0
        else:
            bigger = self._empty(2 * len(self.current))
            _refill(bigger, self.current)
            self.current = bigger

    def entries(self) -> tuple[Table, Table]:
        """The rows of both generations, each i8[n, words] in the order of their keys."""
        return _sorted(self.current), _sorted(self.previous)

    def load(self, current: Table, previous: Table) -> None:
        """Take over what `entries` gave."""
        self.current, self.previous = self._filled(current), self._filled(previous)
        self.count = len(current)

    def _empty(self, capacity: int) -> Table:
        return np.zeros((capacity, self.words), np.int64)

    def _filled(self, entries: Table) -> Table:
        capacity = _START
        while capacity // 2 < len(entries):
            capacity *= 2
        table = self._empty(capacity)
        _refill(table, entries)
        return table


def _sorted(table: Table) -> Table:
    entries = table[table[:, 0] != 0]
    return np.ascontiguousarray(entries[np.lexsort((entries[:, 1], entries[:, 0]))])
