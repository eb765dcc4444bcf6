"""The rows of a state in memory: room for them, snapshots of them, and which have changed."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from model.features import arena, holdings
from model.features.keys import BLOCK, BLOCKS_N, COUNTED, FREE_N, KEYS_N, POSITION, ROWS_N, Table
from model.features.packing import most_words
from model.features.plan import Plan
from model.features.program import KEY

Ints = NDArray[np.int64]

_ROWS, _SLOTS, _WORDS = 64, 256, 4096
_UNLIMITED = 2**62
_FEW = 1_000
"""So many changes are noted whatever share of all rows they are."""
_GROWTH = 16
"""The arena grows by a part of so many. Growing does not copy where the C library can move a large
block to other addresses (`mremap` on Linux): the memory it takes has no peak."""


class Rows:
    """Rows of all keys, or of at most `limit`; `meta` i8[META] is the state's own, with the
    numbers of what is here.

    Packed ones stay as they are between `begin` and `commit`.
    """

    def __init__(self, plan: Plan, meta: Ints, limit: int | None) -> None:
        self._plan, self._meta = plan, meta
        self._most = limit or _UNLIMITED
        self._sweep_from = min(_SLOTS * 3 // 8, self._most)
        self._changed: list[Ints] | None = None
        self._sections = plan.program.sections
        most = most_words(self._sections)
        self._packed = np.empty(most, np.int64)
        self._used = np.empty(int(self._sections[:, 2].max(initial=0)) + 1, np.int64)
        self._free = np.zeros(most // BLOCK + 2, np.int64)
        self.table = Table(
            rows=np.zeros((_ROWS if plan.keeps_windows else 1, plan.width), np.int64),
            origins=np.zeros((_ROWS if plan.keeps_windows else 1, 2), np.int64),
            slots=np.zeros(_SLOTS, np.int32),
            arena=np.zeros(_WORDS, np.int64),
            counts=np.zeros(COUNTED if limit else 0, np.int64),
        )
        self._slots = len(self.table.slots)

    def __len__(self) -> int:
        return int(self._meta[KEYS_N])

    @property
    def words(self) -> int:
        """Of the arena, as far as it is in use."""
        return int(self._meta[BLOCKS_N]) * BLOCK

    def begin(self) -> None:
        """Before the index has to grow, or there are more keys than are allowed, give up the rows
        that their next event would empty.
        """
        if len(self) >= self._sweep_from:
            kept = holdings.sweep(self.table, self._meta, self._free)
            if kept < len(self):
                self._meta[KEYS_N] = kept
                self._reindex(len(self.table.slots))
            room = max(len(self.table.slots) * 3 // 8, kept + kept // 4)
            self._sweep_from = min(room, self._most)
        if int(self._meta[FREE_N]) * BLOCK > max(self.words // 4, _WORDS):
            arena.move_together(self.table, self._meta, self._free)
        self._slots = len(self.table.slots)

    def commit(self) -> None:
        """Pack the rows that the batch has touched."""
        self._note_changed()
        self._meta[POSITION] = 0
        sections, used, packed = self._sections, self._used, self._packed
        while not arena.settle(self.table, sections, self._meta, self._free, used, packed):
            self._make_room(len(self._packed))

    def _note_changed(self) -> None:
        """Where so many have changed that all are as well saved, they are not noted any more."""
        if self._changed is None:
            return
        self._changed.append(self.table.rows[: int(self._meta[ROWS_N]), KEY].copy())
        if sum(map(len, self._changed)) > max(len(self), _FEW):
            self._changed = None

    def mark(self) -> None:
        """Note from here on which rows change."""
        self._changed = []

    def changed(self) -> Ints | None:
        """The rows that have changed since `mark`, packed as in `packed`; None if too many have."""
        if self._changed is None:
            return None
        hashes = np.unique(np.concatenate([np.empty(0, np.int64), *self._changed]))
        places = np.empty(len(hashes), np.int64)
        return self._collected(places[: holdings.slots_of(self.table, hashes, places)])

    def rollback(self) -> None:
        """Forget the rows that the batch has touched; then `meta` is put back by its owner, and
        `recount` called.
        """
        holdings.forget(self.table.slots, self.table.origins, int(self._meta[ROWS_N]))
        self._meta[ROWS_N] = 0
        if len(self.table.slots) != self._slots:
            # made anew, so that the newest rows are not at the ends of their ways
            self._reindex(len(self.table.slots))

    def recount(self) -> None:
        """Count the keys of each generation again."""
        if len(self.table.counts):
            holdings.recount(self.table, self._meta)

    def widen(self) -> None:
        """Room for twice as many wide rows."""
        rows, origins = (_doubled(self.table.rows), _doubled(self.table.origins))
        self.table = self.table._replace(rows=rows, origins=origins)

    def index(self) -> None:
        """Room for twice as many keys."""
        self._reindex(2 * len(self.table.slots))

    def _reindex(self, slots: int) -> None:
        old = self.table.slots
        self.table = self.table._replace(slots=np.zeros(slots, np.int32))
        holdings.reindex(self.table, old)

    def _make_room(self, words: int) -> None:
        """For so many words in the arena, and a part more."""
        words_held = self.table.arena
        needed = self.words + words
        if needed > len(words_held):
            grown = max(needed, len(words_held) + max(len(words_held) // _GROWTH, _WORDS))
            words_held.resize(-(-grown // BLOCK) * BLOCK, refcheck=False)

    def packed(self, *, in_order: bool = False) -> Ints:
        """All rows that are not as good as new, packed one behind the other i8[words].

        Which comes first depends on the index, unless they are wanted in the order of their keys.
        """
        places, hashes = np.empty((2, len(self)), np.int64)
        n = holdings.living(self.table, self._meta, places, hashes)
        places = places[:n]
        return self._collected(places[np.argsort(hashes[:n])] if in_order else places)

    def _collected(self, places: Ints) -> Ints:
        sections, used, room = self._sections, self._used, self._packed
        words = holdings.collect(self.table, sections, places, used, room, np.empty(0, np.int64))
        out = np.empty(words, np.int64)
        holdings.collect(self.table, sections, places, used, room, out)
        return out

    def insert(self, packed: Ints) -> None:
        """Take over what `packed` gave; rows that are here already are replaced."""
        n = holdings.count(packed)
        while 2 * (len(self) + n) >= len(self.table.slots):
            self.index()
        self._make_room(len(packed) + (BLOCK - 1) * n)
        arena.insert(self.table, self._meta, self._free, packed)
        self.recount()


def _doubled(array: Ints) -> Ints:
    bigger = np.zeros((2 * len(array), *array.shape[1:]), np.int64)
    bigger[: len(array)] = array
    return bigger
