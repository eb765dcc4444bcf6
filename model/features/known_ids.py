"""Which ids have come, and with which bodies: for a time, within a memory that is stated.

New ids go into an open table of 16 bytes a slot. When its generation ends, by the clock of the log
or because it is full, they are merged into the closed ones: 8 bytes each, in the order of the ids,
so that one place has to be looked at whatever the number of generations is.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from model.features.id_tables import TAGS, Starts, Words, merge, refill, remember
from tidegate.profile.spec import Remember
from tidegate.stream.stage import Arrays

Ints = NDArray[np.int64]
_START = 1024
_GENERATIONS = 12
"""Into so many the time is cut: ids are known for as long, and for two generations more at most."""


class _Closed(NamedTuple):
    """The closed ids, never written to.

    `live` i8[n, 3] are the generations, oldest first: tag, newest ingest time in us, ids.
    """

    starts: Starts
    words: Words
    live: Ints


_NOTHING = _Closed(np.zeros(0, np.uint32), np.zeros(0, np.uint64), np.zeros((0, 3), np.int64))


class _Mark(NamedTuple):
    """What undoes an addition: everything as it was, and the slots that were filled then."""

    table: Words
    filled: int
    closed: _Closed
    newest_us: int
    forgotten_us: int
    slots: Ints


class IdMemory:
    """Ids of the last `limits.time`, as many as `limits.memory` holds.

    A fold of its inputs: how they are cut into batches changes nothing. Of the memory an eighth is
    the open table, a sixteenth finds buckets, the rest are closed ids; while they are merged, they
    are there twice.
    """

    def __init__(self, limits: Remember) -> None:
        memory = int(limits.memory)
        self.limits = limits
        self._bits = memory.bit_length() - 7
        self._most_open = 3 << (self._bits - 3)
        self._most_closed = memory * 13 // 16 // 8
        self._width_us = max(1, int(limits.time) // _GENERATIONS)
        self._table, self._count = _empty(_START), 0
        self._closed = _NOTHING
        self._newest_us = self._forgotten_us = 0
        self._undo: list[_Mark] = []

    def __len__(self) -> int:
        return self._count + len(self._closed.words)

    def begin(self) -> None:
        """What comes from here on can be undone."""
        self._undo.clear()

    def rollback(self) -> None:
        """Everything as it was at `begin`."""
        for mark in reversed(self._undo):
            mark.table[mark.slots] = 0
            self._table, self._count, self._closed = mark.table, mark.filled, mark.closed
            self._newest_us, self._forgotten_us = mark.newest_us, mark.forgotten_us
        self._undo.clear()

    @property
    def closed_words(self) -> Words:
        """The same array until ids are merged again."""
        return self._closed.words

    @property
    def reach_us(self) -> int:
        """How far back from the newest one all ids are known; less than asked for when the memory
        was too small for it.
        """
        return min(int(self.limits.time), self._newest_us - self._forgotten_us)

    def remember(self, ids: Words, times: Ints) -> NDArray[np.int8]:
        """Look up and add ids u8[n, 2] (hashes of id and body) in order; NEW, SAME or OTHER each.

        `times` i8[n] are their ingest times in us, above 0, which never go back.
        """
        ids = ids.copy()
        ids[ids[:, 0] == 0, 0] = 1
        out, done = np.zeros(len(ids), np.int8), 0
        while done < len(ids):
            if times[done] // self._width_us > self._newest_us // self._width_us and len(self):
                self._close(int(times[done]))
            done = self._remember(ids, times, done, out)
        return out

    def _remember(self, ids: Words, times: Ints, done: int, out: NDArray[np.int8]) -> int:
        """Go on to the end of the generation, or as far as there is room."""
        end = (times[done] // self._width_us + 1) * self._width_us
        stop = int(np.searchsorted(times, end))
        room = min(self._most_open, len(self._table) * 3 // 4) - self._count
        slots, start = np.empty(min(room, stop - done), np.int64), done
        closed = self._closed
        done, added = remember(
            self._table, closed.starts, closed.words, self._bits, room, ids, done, stop, out, slots
        )
        self._undo.append(self._mark(slots[:added]))
        self._count += added
        if done > start:
            self._newest_us = int(times[done - 1])
        if done < stop:
            self._make_room()
        return done

    def _mark(self, slots: Ints) -> _Mark:
        newest, forgotten = self._newest_us, self._forgotten_us
        return _Mark(self._table, self._count, self._closed, newest, forgotten, slots)

    def _make_room(self) -> None:
        if self._count >= self._most_open:
            self._close(self._newest_us)
        else:
            bigger = _empty(2 * len(self._table))
            refill(bigger, self._table)
            self._table = bigger

    def _close(self, now_us: int) -> None:
        """End the open generation at `now_us`; leave out what is too old, or for which there is no
        room.
        """
        self._undo.append(self._mark(np.empty(0, np.int64)))
        old = self._closed if len(self._closed.starts) else _none_closed(self._bits)
        live = old.live[self._first_kept(old.live, now_us) :]
        kept = np.zeros(TAGS, np.bool_)
        kept[live[:, 0]] = True
        entries = self._entries()
        tag = (int(old.live[-1, 0]) + 1) % TAGS if len(old.live) else 0
        starts = np.empty_like(old.starts)
        words = np.empty(int(live[:, 2].sum()) + len(entries), np.uint64)
        merge(old.starts, old.words, kept, entries, tag, self._bits, starts, words)
        ended = np.array([[tag, self._newest_us, len(entries)]], np.int64)[: len(entries)]
        self._closed = _Closed(starts, words, np.concatenate([live, ended]))
        self._table, self._count = _empty(_START), 0

    def _first_kept(self, live: Ints, now_us: int) -> int:
        """How many of the oldest generations go."""
        room, first = self._most_closed - self._count - int(live[:, 2].sum()), 0
        for _, newest_us, ids in live.tolist():
            old = newest_us < now_us - int(self.limits.time)
            if not old and room >= 0 and len(live) - first < TAGS:
                break
            self._forgotten_us = newest_us
            room += ids
            first += 1
        return first

    def _entries(self) -> Words:
        """The open ids u8[n, 2], in order."""
        entries = self._table[self._table[:, 0] != 0]
        return np.ascontiguousarray(entries[np.argsort(entries[:, 0], kind="stable")])

    def arrays(self) -> Arrays:
        """All that it is; what is closed is not copied, for it is never written to."""
        return {
            "open": self._entries(),
            "starts": self._closed.starts,
            "words": self._closed.words,
            "generations": self._closed.live,
            "times": np.array([self._newest_us, self._forgotten_us]),
        }

    def load(self, arrays: Mapping[str, NDArray[np.generic]]) -> None:
        """Take over what `arrays` gave; it was made with the same limits."""
        entries = np.array(arrays["open"], np.uint64)
        capacity = _START
        while capacity * 3 // 4 < len(entries):
            capacity *= 2
        self._table, self._count = _empty(capacity), len(entries)
        refill(self._table, entries)
        self._closed = _Closed(
            np.array(arrays["starts"], np.uint32),
            np.array(arrays["words"], np.uint64),
            np.array(arrays["generations"], np.int64),
        )
        self._newest_us, self._forgotten_us = np.asarray(arrays["times"]).tolist()
        self._undo.clear()


def _empty(capacity: int) -> Words:
    return np.zeros((capacity, 2), np.uint64)


def _none_closed(bits: int) -> _Closed:
    return _NOTHING._replace(starts=np.zeros((1 << bits) + 1, np.uint32))
