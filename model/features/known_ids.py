"""A bounded memory of 128-bit ids, each with a 64-bit value.

It is two generations of open-addressing tables: when the current one is full it becomes the
previous one, and what only the one before knew is forgotten.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from model.jit import jit

Table = NDArray[np.int64]
NEW, SAME, OTHER = 0, 1, 2
_START = 1024


@jit
def find(table: Table, high: int, low: int) -> int:
    """The slot that holds an id, or the free slot where it belongs."""
    mask = len(table) - 1
    slot = low & mask
    while table[slot, 0] != 0 and (table[slot, 0] != high or table[slot, 1] != low):
        slot = (slot + 1) & mask
    return slot


@jit
def remember(
    current: Table,
    previous: Table,
    room: int,
    replace: bool,
    ids: Table,
    start: int,
    out: NDArray[np.int8],
    slots: NDArray[np.int64],
    changes: Table,
) -> tuple[int, int, int]:
    """Look up ids i8[n, 3] (high, low, value) from `start` on, and add at most `room` new ones.

    `out[i]` says whether id i is NEW, has the SAME value, or an OTHER one, which is replaced if
    `replace`. `slots` takes the slots of `current` that were filled, `changes` (generation, slot,
    old value) the values that were replaced. Returns where it stopped, and both counts.
    """
    added = changed = 0
    for i in range(start, len(ids)):
        high, low, value = ids[i, 0], ids[i, 1], ids[i, 2]
        slot = find(current, high, low)
        table, generation = current, 0
        if table[slot, 0] == 0:
            table, generation = previous, 1
            old = find(previous, high, low)
            if previous[old, 0] == 0:
                if added == room:
                    return i, added, changed
                current[slot, 0], current[slot, 1], current[slot, 2] = high, low, value
                slots[added] = slot
                added += 1
                out[i] = NEW
                continue
            slot = old
        out[i] = SAME if table[slot, 2] == value else OTHER
        if replace and out[i] == OTHER:
            changes[changed, 0], changes[changed, 1] = generation, slot
            changes[changed, 2] = table[slot, 2]
            changed += 1
            table[slot, 2] = value
    return len(ids), added, changed


@jit
def _refill(table: Table, entries: Table) -> None:
    """Fill an empty table from entries, or from another table."""
    for i in range(len(entries)):
        if entries[i, 0] != 0:
            slot = find(table, entries[i, 0], entries[i, 1])
            for k in range(3):
                table[slot, k] = entries[i, k]


def _empty(capacity: int) -> Table:
    return np.zeros((capacity, 3), np.int64)


class Memory:
    """Remembers the newest `limit` to `2 * limit` ids.

    A generation ends by count, so that the log alone decides it. With `replace`, a known id takes
    the newer value; without, it keeps its first.
    """

    def __init__(self, limit: int, *, replace: bool = False) -> None:
        self.limit = limit
        self.replace = replace
        self.current, self.previous = _empty(_START), _empty(_START)
        self.count = 0
        self._undo: list[tuple[Table, Table, int, NDArray[np.int64], Table]] = []

    def begin(self) -> None:
        self._undo.clear()

    def rollback(self) -> None:
        for current, previous, count, slots, changes in reversed(self._undo):
            for generation, slot, value in changes[::-1].tolist():
                (previous if generation else current)[slot, 2] = value
            current[slots] = 0
            self.current, self.previous, self.count = current, previous, count
        self._undo.clear()

    def remember(self, ids: Table) -> NDArray[np.int8]:
        """Look up and add ids i8[n,3] in order; returns NEW, SAME or OTHER for each."""
        out = np.zeros(len(ids), np.int8)
        done = 0
        while done < len(ids):
            room = min(self.limit, len(self.current) // 2) - self.count
            slots = np.empty(len(ids) - done, np.int64)
            changes = np.empty((len(ids) - done if self.replace else 0, 3), np.int64)
            done, added, changed = remember(
                self.current, self.previous, room, self.replace, ids, done, out, slots, changes
            )
            self._undo.append(
                (self.current, self.previous, self.count, slots[:added], changes[:changed])
            )
            self.count += added
            if done < len(ids):
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
        """The ids of both generations, each i8[n,3] sorted by id."""
        return _sorted(self.current), _sorted(self.previous)

    def load(self, current: Table, previous: Table) -> None:
        """Take over what `entries` gave."""
        self.current, self.previous = _filled(current), _filled(previous)
        self.count = len(current)


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
