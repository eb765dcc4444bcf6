"""The state of one partition of one keyed step, a fold of its log: rows, ids, waiting verdicts."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from model.features import operator, pending
from model.features.id_tables import NEW, OTHER, SAME
from model.features.keys import (
    ALIVE_N,
    CLOCK,
    DEAD,
    EVICTED,
    IDLE,
    LIMIT,
    META,
    NOW,
    OLDEST,
    POSITION,
    SEEN_N,
    WATERMARK,
    alive_of,
)
from model.features.operator import NEED_JOURNAL, NEED_ROWS, Transactions
from model.features.pending import (
    CARRIED,
    END,
    FIRST,
    FRAUDS,
    HEAP_N,
    JOURNAL_N,
    KEY,
    MATURES,
    VERDICTS,
    Waiting,
)
from model.features.plan import Plan
from model.features.program import Program
from model.features.rows import Rows
from model.features.seen import Seen
from tidegate.errors import ConfigError, Stop
from tidegate.stream.stage import Arrays

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

_JOURNAL, _WAITING = 1024, 256
_MOST_COPIES = 32
"""So many copies of changes follow a whole one at most: each is a file to read."""
_NEVER = 2**62
_GENERATIONS = [ALIVE_N, NOW, SEEN_N, OLDEST, DEAD]
_COPIED = ("clocks", "generations", "labels_next", "waiting")


class KeyedState:
    """Implements `tidegate.stream.stage.State`.

    `labels_next` is the next offset of the labels topic to apply. With `evicts` rows leave that
    were idle by ingest time for longer than the plan's horizon, and those seen least recently where
    the profile keeps only so many.
    """

    def __init__(self, plan: Plan, *, evicts: bool = True) -> None:
        self.plan = plan
        self.meta = np.zeros(META, np.int64)
        self.meta[WATERMARK] = -1
        self.meta[IDLE] = plan.program.horizon_us if evicts else _NEVER
        self.seen = Seen(plan.profile.remember)
        self.labels_next = 0
        limit = plan.profile.remember.keys if evicts else None
        self.meta[LIMIT], self.meta[DEAD] = alive_of(limit) if limit else 0, -1
        self.rows = Rows(plan, self.meta, limit)
        self._whole = self._since = self._copies = 0
        self._saved_ids: object = None
        words = CARRIED + len(plan.carried)
        self.waiting = Waiting(
            heap=np.zeros((_WAITING, words), np.int64),
            queue=np.zeros((_WAITING, words), np.int64),
            journal=np.empty((_JOURNAL, 1 + words), np.int64),
        )
        self._before: tuple[Ints, int] | None = None

    def begin(self) -> None:
        if self._before is not None:
            raise RuntimeError("begin: the batch before was neither committed nor rolled back")
        self.rows.begin()
        self._forget()
        self._before = self.meta.copy(), self.labels_next

    def commit(self) -> None:
        if self._before is None:
            raise RuntimeError("commit without begin")
        self._before = None
        self.rows.commit()
        self._forget()

    def rollback(self) -> None:
        if self._before is None:
            raise RuntimeError("rollback without begin")
        meta, labels_next = self._before
        waiting = pending.before(self._waiting(), self.waiting.journal[: self.meta[JOURNAL_N]])
        self.seen.rollback()
        self.rows.rollback()
        self.meta[:], self.labels_next, self._before = meta, labels_next, None
        self.rows.recount()
        self._wait(waiting)
        self._forget()

    def _forget(self) -> None:
        self.meta[JOURNAL_N] = 0
        self.seen.begin()

    def take_evicted(self) -> int:
        """How many keys have left because others were seen since, after the call before."""
        evicted, self.meta[EVICTED] = int(self.meta[EVICTED]), 0
        return evicted

    @property
    def clock_us(self) -> int:
        """The newest ingest time so far; 0 before the first."""
        return int(self.meta[CLOCK])

    def fold(self, keys: Ints, hashes: Ints, times: Ints, ingested: Ints, values: Floats) -> None:
        """Fold transactions in order, filling in this step's columns of `values` f8[n, columns].

        `values` is in C order; see `operator.Transactions` for the others.
        """
        self._fold(self.plan.program, Transactions(keys, hashes, times, ingested, values))

    def refold(self, keys: Ints, hashes: Ints, times: Ints, ingested: Ints, values: Floats) -> None:
        """Fold transactions again that were committed before: rows change as in `fold`.

        `values` are the plan's `replayed` columns alone, and nothing is filled in. Raises Stop in
        place of whatever goes wrong in between.
        """
        try:
            self._fold(self.plan.replaying, Transactions(keys, hashes, times, ingested, values))
        except Exception as error:
            raise Stop(f"a state cannot be restored: {error!r}") from error

    def _fold(self, program: Program, transactions: Transactions) -> None:
        self.meta[POSITION] = 0
        while True:
            status = operator.fold(program, self.rows.table, self.waiting, self.meta, transactions)
            if status == operator.DONE:
                return
            self._grow(status)

    def first_of(self, labels: Ints) -> NDArray[np.bool_]:
        """Whether each label, i8[n, 2] (a hash of its id), is the first with its id."""
        first: NDArray[np.bool_] = self.seen.labels.take(labels) == NEW
        return first

    def absorb(self, verdicts: Ints, keys: Ints, matures: Ints, carried: Floats) -> None:
        """Fold verdicts, rows of `model.features.newest`, on the entities of hashes `keys`.

        `matures` i8[n] us is when each begins to count, `carried` f8[n, plan.carried] are values of
        its transaction. One that does not hold changes nothing.
        """
        known = self.seen.verdicts.take(verdicts)
        frauds = verdicts[:, 4] - 1
        frauds = np.where(known == OTHER, 2 * frauds - 1, frauds)
        labels = np.empty((len(verdicts), self.waiting.heap.shape[1]), np.int64)
        labels[:, MATURES], labels[:, KEY] = matures, keys
        labels[:, VERDICTS], labels[:, FRAUDS] = known != OTHER, frauds
        labels[:, CARRIED:] = carried.view(np.int64)
        labels = labels[known != SAME]
        self._waiting_room(len(labels))
        self.meta[POSITION] = 0
        while True:
            program, table = self.plan.program, self.rows.table
            status = operator.absorb(program, table, self.waiting, self.meta, labels)
            if status == operator.DONE:
                return
            self._grow(status)

    def _grow(self, status: int) -> None:
        if status == NEED_JOURNAL:
            self.waiting = self.waiting._replace(journal=_doubled(self.waiting.journal))
        elif status == NEED_ROWS:
            self.rows.widen()
        else:
            self.rows.index()

    def _waiting_room(self, n: int) -> None:
        while self.meta[HEAP_N] + n > len(self.waiting.heap):
            self.waiting = self.waiting._replace(heap=_doubled(self.waiting.heap))
        queue = self.waiting.queue
        if self.meta[END] + n <= len(queue):
            return
        waiting = queue[self.meta[FIRST] : self.meta[END]].copy()
        while 2 * len(waiting) + n > len(queue):
            queue = _doubled(queue)
        queue[: len(waiting)] = waiting
        self.meta[FIRST], self.meta[END] = 0, len(waiting)
        self.waiting = self.waiting._replace(queue=queue)

    def _waiting(self) -> Ints:
        queued = self.waiting.queue[self.meta[FIRST] : self.meta[END]]
        return pending.in_order(np.concatenate([self.waiting.heap[: self.meta[HEAP_N]], queued]))

    def _wait(self, entries: Ints) -> None:
        """Let exactly these entries wait; they are in order."""
        self.meta[HEAP_N] = self.meta[FIRST] = self.meta[END] = 0
        self._waiting_room(len(entries))
        self.waiting.queue[: len(entries)] = entries
        self.meta[END] = len(entries)

    def arrays(self) -> Arrays:
        return {"rows": self.rows.packed()} | self._others()

    def changes(self) -> Arrays | None:
        """None where these and those before them are more than all of it, or too many copies. What
        of the ids does not change for a while is left out if it is as it was.
        """
        rows = self.rows.changed()
        if rows is None or self._since + len(rows) > self._whole or self._copies == _MOST_COPIES:
            return None
        arrays = {"rows": rows} | self._others()
        if arrays["ids_words"] is self._saved_ids:
            del arrays["ids_words"], arrays["ids_starts"]
        return arrays

    def mark(self, saved: Arrays, *, whole: bool) -> None:
        words = len(saved["rows"])
        if whole:
            self._whole, self._since, self._copies = words, 0, 0
        else:
            self._since, self._copies = self._since + words, self._copies + 1
        self._saved_ids = self.seen.ids.closed_words
        self.rows.mark()

    def _others(self) -> Arrays:
        """What a snapshot holds but rows."""
        return {
            "clocks": self.meta[[WATERMARK, CLOCK]],
            "generations": self.meta[_GENERATIONS],
            "width": np.array([self.plan.width]),
            "labels_next": np.array([self.labels_next]),
            "waiting": self._waiting(),
        } | self.seen.arrays()

    def load(self, arrays: Mapping[str, NDArray[np.generic]]) -> None:
        """Take over what `arrays` gave. Raises ConfigError for the rows of another profile."""
        self._take_over(arrays)
        self.mark({"rows": np.asarray(arrays["rows"])}, whole=True)

    def apply(self, changes: Mapping[str, NDArray[np.generic]]) -> None:
        """Take over what `changes` gave. Raises ConfigError as `load` does."""
        self._take_over(self._others() | dict(changes))
        self.mark({"rows": np.asarray(changes["rows"])}, whole=False)

    def _take_over(self, arrays: Mapping[str, NDArray[np.generic]]) -> None:
        if int(np.asarray(arrays["width"])[0]) != self.plan.width:
            raise ConfigError("the snapshot belongs to another profile")
        copies = {name: np.array(arrays[name]) for name in _COPIED}
        self.meta[[WATERMARK, CLOCK]] = copies["clocks"]
        self.meta[_GENERATIONS] = copies["generations"]
        self.rows.insert(np.asarray(arrays["rows"], np.int64))
        self.labels_next = int(copies["labels_next"][0])
        self._wait(copies["waiting"])
        self.seen.load(arrays)

    def digest(self) -> str:
        content = [
            self.rows.packed(in_order=True),
            self._waiting(),
            *self.seen.arrays().values(),
            self.meta[[WATERMARK, CLOCK, *_GENERATIONS]],
            np.array([self.labels_next]),
        ]
        digest = hashlib.sha256()
        for array in content:
            digest.update(np.array(array.shape).tobytes())
            digest.update(np.ascontiguousarray(array).data)
        return digest.hexdigest()


def _doubled(array: Ints) -> Ints:
    bigger = np.zeros((2 * len(array), *array.shape[1:]), np.int64)
    bigger[: len(array)] = array
    return bigger
