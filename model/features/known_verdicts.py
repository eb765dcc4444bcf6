"""A bounded memory of the verdict that holds on each transaction.

Like `model.features.known_ids` it is two generations of open-addressing tables. A row is
(transaction high, low, given_us, label, 1 + fraud); both words of the transaction are hashes, the
first never 0.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from model.features.known_ids import NEW, OTHER, SAME, find
from model.jit import jit
from model.verdicts import holds

Table = NDArray[np.int64]
_WORDS = 5
_GIVEN, _LABEL, _VERDICT = range(2, _WORDS)
_START = 1024


@jit
def _copy(to: Table, slot: int, rows: Table, i: int) -> None:
    for k in range(rows.shape[1]):
        to[slot, k] = rows[i, k]


@jit
def _hold(
    current: Table,
    previous: Table,
    room: int,
    rows: Table,
    start: int,
    out: NDArray[np.int8],
    slots: NDArray[np.int64],
    changes: Table,
) -> tuple[int, int, int]:
    """Take verdicts i8[n, 5] from `start` on, adding at most `room` transactions.

    `out[i]` says whether verdict i is the first on its transaction (NEW), changes nothing (SAME),
    or turns the one before it round (OTHER). `slots` takes the slots of `current` that were filled,
    `changes` (generation, slot, then the old row) what was replaced. Returns where it stopped, and
    both counts.
    """
    added = changed = 0
    for i in range(start, len(rows)):
        table, generation = current, 0
        slot = find(current, rows[i, 0], rows[i, 1])
        if current[slot, 0] == 0:
            old = find(previous, rows[i, 0], rows[i, 1])
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
        if holds(rows[i, _GIVEN], rows[i, _LABEL], table[slot, _GIVEN], table[slot, _LABEL]):
            if rows[i, _VERDICT] != table[slot, _VERDICT]:
                out[i] = OTHER
            changes[changed, 0], changes[changed, 1] = generation, slot
            for k in range(_WORDS):
                changes[changed, 2 + k] = table[slot, k]
            changed += 1
            _copy(table, slot, rows, i)
    return len(rows), added, changed


@jit
def _refill(table: Table, entries: Table) -> None:
    """Fill an empty table from entries, or from another table."""
    for i in range(len(entries)):
        if entries[i, 0] != 0:
            _copy(table, find(table, entries[i, 0], entries[i, 1]), entries, i)


class VerdictMemory:
    """Remembers the verdicts on the newest `limit` to `2 * limit` transactions with one.

    A generation ends by count, so that the log alone decides it.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.current, self.previous = _empty(_START), _empty(_START)
        self.count = 0
        self._undo: list[tuple[Table, Table, int, NDArray[np.int64], Table]] = []

    def begin(self) -> None:
        self._undo.clear()

    def rollback(self) -> None:
        for current, previous, count, slots, changes in reversed(self._undo):
            for change in changes[::-1]:
                (previous if change[0] else current)[change[1]] = change[2:]
            current[slots] = 0
            self.current, self.previous, self.count = current, previous, count
        self._undo.clear()

    def hold(self, rows: Table) -> NDArray[np.int8]:
        """Take verdicts i8[n, 5] in order; NEW, SAME or OTHER for each, as `_hold` says."""
        out = np.zeros(len(rows), np.int8)
        done = 0
        while done < len(rows):
            room = min(self.limit, len(self.current) // 2) - self.count
            slots = np.empty(len(rows) - done, np.int64)
            changes = np.empty((len(rows) - done, 2 + _WORDS), np.int64)
            done, added, changed = _hold(
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
            self.current, self.previous, self.count = _empty(_START), self.current, 0
        else:
            bigger = _empty(2 * len(self.current))
            _refill(bigger, self.current)
            self.current = bigger

    def entries(self) -> tuple[Table, Table]:
        """The verdicts of both generations, each i8[n, 5] sorted by transaction."""
        return _sorted(self.current), _sorted(self.previous)

    def load(self, current: Table, previous: Table) -> None:
        """Take over what `entries` gave."""
        self.current, self.previous = _filled(current), _filled(previous)
        self.count = len(current)


def _empty(capacity: int) -> Table:
    return np.zeros((capacity, _WORDS), np.int64)


def _sorted(table: Table) -> Table:
    entries = table[table[:, 0] != 0]
    return np.ascontiguousarray(entries[np.lexsort((entries[:, 1], entries[:, 0]))])


def _filled(entries: Table) -> Table:
    capacity = _START
    while capacity // 2 < len(entries):
        capacity *= 2
    table = _empty(capacity)
    _refill(table, entries)
    return table
