"""The state of one partition of one keyed step: rows, ids seen, verdicts that wait. A fold of the
log.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from model.features import operator, pending, sparse
from model.features.known_ids import OTHER, SAME, Memory
from model.features.operator import EPOCH, META, NEED_ROWS, POSITION, ROWS_N, UNDO_N, WATERMARK
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
)
from model.features.plan import Plan
from tidegate.errors import ConfigError
from tidegate.stream.stage import Arrays

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

REMEMBERED_IDS = 250_000
"""Ids a partition remembers at least, to drop duplicates."""
_ROWS, _UNDO, _WAITING = 256, 1024, 256


class KeyedState:
    """Implements `tidegate.stream.stage.State`. `labels_next` is the next offset of the labels
    topic to apply.
    """

    def __init__(self, plan: Plan, remembered: int = REMEMBERED_IDS) -> None:
        self.plan = plan
        self.meta = np.zeros(META, np.int64)
        self.meta[WATERMARK], self.meta[EPOCH] = -1, 1
        self.ids = Memory(remembered)
        self.verdicts = Memory(remembered, replace=True)
        self.labels_next = 0
        self.rows = np.zeros((_ROWS if plan.keeps_windows else 1, plan.width), np.int64)
        self.stamps = np.zeros(len(self.rows), np.int64)
        self.index = np.zeros(4 * len(self.rows), np.int32)
        self.heap = np.zeros((_WAITING, CARRIED + len(plan.carried)), np.int64)
        self.queue = np.zeros_like(self.heap)
        self._undo_rows = np.empty(_UNDO, np.int64)
        self._undo = np.empty((_UNDO if plan.keeps_windows else 1, plan.width), np.int64)
        self._journal = np.empty((_UNDO, 1 + self.heap.shape[1]), np.int64)
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
        self.rows[self._undo_rows[:n]] = self._undo[:n]
        self.rows[meta[ROWS_N] : self.meta[ROWS_N]] = 0
        waiting = pending.before(self._waiting(), self._journal[: self.meta[JOURNAL_N]])
        self.ids.rollback()
        self.verdicts.rollback()
        epoch = self.meta[EPOCH]
        self.meta[:], self.labels_next, self._before = meta, labels_next, None
        self.meta[EPOCH] = epoch
        self._wait(waiting)
        self._reindex()
        self._forget()

    def _forget(self) -> None:
        self.meta[UNDO_N] = self.meta[JOURNAL_N] = 0
        self.meta[EPOCH] += 1
        self.ids.begin()
        self.verdicts.begin()

    def fold(self, keys: Ints, hashes: Ints, times: Ints, values: Floats) -> None:
        """Fold transactions in order; fills in this step's columns of `values` f8[n, columns] (C
        order).
        """
        plan = self.plan
        self.meta[POSITION] = 0
        while True:
            status = operator.fold(
                plan.code,
                plan.consts,
                plan.verdicts,
                plan.horizon_us,
                self.index,
                self.rows,
                self.rows.view(np.float64),
                self.stamps,
                self._undo_rows,
                self._undo,
                self.heap,
                self.queue,
                self._journal,
                self.meta,
                keys,
                hashes,
                times,
                values,
                plan.registers,
            )
            if status == operator.DONE:
                return
            self._grow(status)

    def absorb(self, ids: Ints, keys: Ints, matures: Ints, carried: Floats) -> None:
        """Fold verdicts: ids i8[n,3] (two hashes, 1 + fraud), the entity's hash, when each begins
        to count, and the values f8[n, plan.carried] of its transaction.
        """
        known = self.verdicts.remember(ids)
        frauds = ids[:, 2] - 1
        frauds = np.where(known == OTHER, 2 * frauds - 1, frauds)
        labels = np.empty((len(ids), self.heap.shape[1]), np.int64)
        labels[:, MATURES], labels[:, KEY] = matures, keys
        labels[:, VERDICTS], labels[:, FRAUDS] = known != OTHER, frauds
        labels[:, CARRIED:] = carried.view(np.int64)
        labels = labels[known != SAME]
        self._waiting_room(len(labels))
        self.meta[POSITION] = 0
        plan = self.plan
        while True:
            status = operator.absorb(
                plan.verdicts,
                plan.horizon_us,
                self.index,
                self.rows,
                self.rows.view(np.float64),
                self.stamps,
                self._undo_rows,
                self._undo,
                self.heap,
                self.queue,
                self._journal,
                self.meta,
                labels,
            )
            if status == operator.DONE:
                return
            self._grow(status)

    def _grow(self, status: int) -> None:
        if status == NEED_ROWS:
            self._resize(2 * len(self.rows))
            return
        if self.meta[UNDO_N] >= len(self._undo):
            self._undo = _doubled(self._undo)
            self._undo_rows = _doubled(self._undo_rows)
        self._journal = _doubled(self._journal)

    def _resize(self, capacity: int) -> None:
        rows, n = np.zeros((capacity, self.plan.width), np.int64), int(self.meta[ROWS_N])
        rows[:n] = self.rows[:n]
        stamps = np.zeros(capacity, np.int64)
        stamps[:n] = self.stamps[:n]
        self.rows, self.stamps = rows, stamps
        self._reindex()

    def _reindex(self) -> None:
        size = 4 * len(self.rows)
        self.index = np.zeros(size, np.int32)
        operator.reindex(self.index, self.rows, int(self.meta[ROWS_N]))

    def _waiting_room(self, n: int) -> None:
        while self.meta[HEAP_N] + n > len(self.heap):
            self.heap = _doubled(self.heap)
        if self.meta[END] + n > len(self.queue):
            waiting = self.queue[self.meta[FIRST] : self.meta[END]].copy()
            while 2 * len(waiting) + n > len(self.queue):
                self.queue = _doubled(self.queue)
            self.queue[: len(waiting)] = waiting
            self.meta[FIRST], self.meta[END] = 0, len(waiting)

    def _waiting(self) -> Ints:
        queued = self.queue[self.meta[FIRST] : self.meta[END]]
        return pending.in_order(np.concatenate([self.heap[: self.meta[HEAP_N]], queued]))

    def _wait(self, entries: Ints) -> None:
        """Let exactly these wait, which are in order."""
        self.meta[HEAP_N] = self.meta[FIRST] = self.meta[END] = 0
        self._waiting_room(len(entries))
        self.queue[: len(entries)] = entries
        self.meta[END] = len(entries)

    def _alive(self) -> NDArray[np.bool_]:
        n = int(self.meta[ROWS_N])
        alive: NDArray[np.bool_] = self.meta[WATERMARK] - self.rows[:n, 1] <= self.plan.horizon_us
        return alive

    def _make_room_by_dropping(self) -> None:
        """Before the table would grow: leave out rows that the next touch would empty anyway."""
        if self.meta[ROWS_N] < len(self.rows) * 9 // 10 or len(self.rows) == 1:
            return
        alive = self._alive()
        kept = int(alive.sum())
        if kept > len(self.rows) // 2:
            return
        self.rows[:kept] = self.rows[: len(alive)][alive]
        self.rows[kept:] = 0
        self.meta[ROWS_N] = kept
        self._reindex()

    def arrays(self) -> Arrays:
        counts, places, words = sparse.pack(self.rows, np.flatnonzero(self._alive()))
        ids, verdicts = self.ids.entries(), self.verdicts.entries()
        return {
            "watermark": self.meta[WATERMARK : WATERMARK + 1].copy(),
            "width": np.array([self.plan.width]),
            "labels_next": np.array([self.labels_next]),
            "counts": counts,
            "places": places,
            "words": words,
            "waiting": self._waiting(),
            "ids": ids[0],
            "ids_before": ids[1],
            "verdicts": verdicts[0],
            "verdicts_before": verdicts[1],
        }

    def load(self, arrays: Mapping[str, NDArray[np.generic]]) -> None:
        """Take over what `arrays` gave. Raises ConfigError when the rows are of another program."""
        if int(np.asarray(arrays["width"])[0]) != self.plan.width:
            raise ConfigError("the snapshot belongs to another profile")
        parts = {name: np.array(array) for name, array in arrays.items()}
        n = len(parts["counts"])
        capacity = len(self.rows)
        while capacity < 2 * n:
            capacity *= 2
        self.meta[ROWS_N] = 0
        self._resize(capacity)
        sparse.unpack(parts["counts"], parts["places"], parts["words"], self.rows)
        self.meta[ROWS_N], self.meta[WATERMARK] = n, parts["watermark"][0]
        self._reindex()
        self.labels_next = int(parts["labels_next"][0])
        self._wait(parts["waiting"])
        self.ids.load(parts["ids"], parts["ids_before"])
        self.verdicts.load(parts["verdicts"], parts["verdicts_before"])

    def digest(self) -> str:
        n = int(self.meta[ROWS_N])
        rows = self.rows[:n][self._alive()]
        parts = [
            rows[np.argsort(rows[:, 0])],
            self._waiting(),
            *self.ids.entries(),
            *self.verdicts.entries(),
            np.array([self.meta[WATERMARK], self.labels_next]),
        ]
        content = hashlib.sha256()
        for part in parts:
            content.update(np.array(part.shape).tobytes())
            content.update(np.ascontiguousarray(part).tobytes())
        return content.hexdigest()


def _doubled(array: Ints) -> Ints:
    bigger = np.zeros((2 * len(array), *array.shape[1:]), np.int64)
    bigger[: len(array)] = array
    return bigger
