"""The state of one partition of one keyed step, a fold of its log: rows, ids, waiting verdicts."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from model.features import operator, pending, sparse
from model.features.id_tables import NEW, OTHER, SAME
from model.features.operator import (
    CLOCK,
    EPOCH,
    IDLE,
    META,
    NEED_ROWS,
    POSITION,
    ROWS_N,
    UNDO_N,
    WATERMARK,
    Table,
    Transactions,
)
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
from model.features.seen import Seen
from tidegate.errors import ConfigError, Stop
from tidegate.stream.stage import Arrays

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

_ROWS, _UNDO, _WAITING = 256, 1024, 256
_NEVER = 2**62
_UNSAVED = 0
"""The epoch of rows that no batch has touched: a row that has it already is not saved again."""
_COPIED = ("clocks", "labels_next", "counts", "places", "words", "waiting")


class KeyedState:
    """Implements `tidegate.stream.stage.State`.

    `labels_next` is the next offset of the labels topic to apply. With `evicts` rows leave that
    were idle by ingest time for longer than the plan's horizon.
    """

    def __init__(self, plan: Plan, *, evicts: bool = True) -> None:
        self.plan = plan
        self.meta = np.zeros(META, np.int64)
        self.meta[WATERMARK], self.meta[EPOCH] = -1, 1
        self.meta[IDLE] = plan.program.horizon_us if evicts else _NEVER
        self.seen = Seen(plan.profile.remember)
        self.labels_next = 0
        rows = _ROWS if plan.keeps_windows else 1
        self.table = Table(
            rows=np.zeros((rows, plan.width), np.int64),
            stamps=np.zeros(rows, np.int64),
            slots=np.zeros(4 * rows, np.int32),
            undo=np.empty((_UNDO if plan.keeps_windows else 1, plan.width), np.int64),
            undo_rows=np.empty(_UNDO, np.int64),
        )
        words = CARRIED + len(plan.carried)
        self.waiting = Waiting(
            heap=np.zeros((_WAITING, words), np.int64),
            queue=np.zeros((_WAITING, words), np.int64),
            journal=np.empty((_UNDO, 1 + words), np.int64),
        )
        self._before: tuple[Ints, int] | None = None

    def begin(self) -> None:
        if self._before is not None:
            raise RuntimeError("begin: the batch before was neither committed nor rolled back")
        self._make_room_by_dropping()
        self._forget()
        self._before = self.meta.copy(), self.labels_next

    def commit(self) -> None:
        if self._before is None:
            raise RuntimeError("commit without begin")
        self._before = None
        self._forget()

    def rollback(self) -> None:
        if self._before is None:
            raise RuntimeError("rollback without begin")
        meta, labels_next = self._before
        n = int(self.meta[UNDO_N])
        self.table.rows[self.table.undo_rows[:n]] = self.table.undo[:n]
        self.table.rows[meta[ROWS_N] : self.meta[ROWS_N]] = 0
        waiting = pending.before(self._waiting(), self.waiting.journal[: self.meta[JOURNAL_N]])
        self.seen.rollback()
        epoch = self.meta[EPOCH]
        self.meta[:], self.labels_next, self._before = meta, labels_next, None
        self.meta[EPOCH] = epoch
        self._wait(waiting)
        self._reindex()
        self._forget()

    def _forget(self) -> None:
        self.meta[UNDO_N] = self.meta[JOURNAL_N] = 0
        self.meta[EPOCH] += 1
        self.seen.begin()

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

        `values` are the plan's `replayed` columns alone, and nothing is filled in. What changes a
        row is not kept for a rollback: there is no batch to undo. Raises Stop in place of whatever
        goes wrong in between.
        """
        epoch, self.meta[EPOCH] = int(self.meta[EPOCH]), _UNSAVED
        try:
            self._fold(self.plan.replaying, Transactions(keys, hashes, times, ingested, values))
        except Exception as error:
            raise Stop(f"a state cannot be restored: {error!r}") from error
        self.meta[EPOCH] = epoch

    def _fold(self, program: Program, transactions: Transactions) -> None:
        self.meta[POSITION] = 0
        while True:
            status = operator.fold(program, self.table, self.waiting, self.meta, transactions)
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
            status = operator.absorb(self.plan.program, self.table, self.waiting, self.meta, labels)
            if status == operator.DONE:
                return
            self._grow(status)

    def _grow(self, status: int) -> None:
        if status == NEED_ROWS:
            self._resize(2 * len(self.table.rows))
            return
        table, journal = self.table, _doubled(self.waiting.journal)
        self.waiting = self.waiting._replace(journal=journal)
        if self.meta[UNDO_N] >= len(table.undo):
            self.table = table._replace(
                undo=_doubled(table.undo), undo_rows=_doubled(table.undo_rows)
            )

    def _resize(self, capacity: int) -> None:
        rows, n = np.zeros((capacity, self.plan.width), np.int64), int(self.meta[ROWS_N])
        rows[:n] = self.table.rows[:n]
        stamps = np.zeros(capacity, np.int64)
        stamps[:n] = self.table.stamps[:n]
        self.table = self.table._replace(rows=rows, stamps=stamps)
        self._reindex()

    def _reindex(self) -> None:
        slots = np.zeros(4 * len(self.table.rows), np.int32)
        operator.reindex(slots, self.table.rows, int(self.meta[ROWS_N]))
        self.table = self.table._replace(slots=slots)

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

    def _alive(self) -> NDArray[np.bool_]:
        n = int(self.meta[ROWS_N])
        touched = self.table.rows[:n, 1:3].max(axis=1)
        alive: NDArray[np.bool_] = self.meta[CLOCK] - touched <= self.meta[IDLE]
        return alive

    def _make_room_by_dropping(self) -> None:
        """Before the table has to grow: drop the rows that their next event would empty anyway."""
        if self.meta[ROWS_N] < len(self.table.rows) * 9 // 10 or len(self.table.rows) == 1:
            return
        alive = self._alive()
        kept = int(alive.sum())
        if kept > len(self.table.rows) // 2:
            return
        self.table.rows[:kept] = self.table.rows[: len(alive)][alive]
        self.table.rows[kept:] = 0
        self.meta[ROWS_N] = kept
        self._reindex()

    def arrays(self) -> Arrays:
        counts, places, words = sparse.pack(self.table.rows, np.flatnonzero(self._alive()))
        return {
            "clocks": self.meta[[WATERMARK, CLOCK]],
            "width": np.array([self.plan.width]),
            "labels_next": np.array([self.labels_next]),
            "counts": counts,
            "places": places,
            "words": words,
            "waiting": self._waiting(),
        } | self.seen.arrays()

    def load(self, arrays: Mapping[str, NDArray[np.generic]]) -> None:
        """Take over what `arrays` gave. Raises ConfigError for the rows of another profile."""
        if int(np.asarray(arrays["width"])[0]) != self.plan.width:
            raise ConfigError("the snapshot belongs to another profile")
        copies = {name: np.array(arrays[name]) for name in _COPIED}
        n = len(copies["counts"])
        capacity = len(self.table.rows)
        while capacity < 2 * n:
            capacity *= 2
        self.meta[ROWS_N] = 0
        self._resize(capacity)
        sparse.unpack(copies["counts"], copies["places"], copies["words"], self.table.rows)
        self.meta[ROWS_N] = n
        self.meta[[WATERMARK, CLOCK]] = copies["clocks"]
        self._reindex()
        self.labels_next = int(copies["labels_next"][0])
        self._wait(copies["waiting"])
        self.seen.load(arrays)

    def digest(self) -> str:
        n = int(self.meta[ROWS_N])
        rows = self.table.rows[:n][self._alive()]
        content = [
            rows[np.argsort(rows[:, 0])],
            self._waiting(),
            *self.seen.arrays().values(),
            np.array([self.meta[WATERMARK], self.meta[CLOCK], self.labels_next]),
        ]
        digest = hashlib.sha256()
        for array in content:
            digest.update(np.array(array.shape).tobytes())
            digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()


def _doubled(array: Ints) -> Ints:
    bigger = np.zeros((2 * len(array), *array.shape[1:]), np.int64)
    bigger[: len(array)] = array
    return bigger
