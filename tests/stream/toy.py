"""A stateful stage with a side input that keeps the exact fold it is, and a stateless copy of
bytes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import numpy as np

from tidegate.broker.records import Batch
from tidegate.stream.stage import Arrays, Emit, NoState, Output, Reject, StatelessStage

KEYS = 8


class Counters:
    """Per key: events, and their order mixed into a hash that any change of order changes; the
    factor of the side.
    """

    def __init__(self, counts: np.ndarray | None = None) -> None:
        self.counts = np.zeros((KEYS + 1, 2), np.int64) if counts is None else counts.copy()
        self._undo: np.ndarray | None = None
        self._marked: np.ndarray | None = None
        self._increments = 0

    def begin(self) -> None:
        assert self._undo is None, "begin on top of an open one"
        self._undo = self.counts.copy()

    def rollback(self) -> None:
        assert self._undo is not None, "rollback without begin"
        self.counts, self._undo = self._undo, None

    def commit(self) -> None:
        assert self._undo is not None, "commit without begin"
        self._undo = None

    def arrays(self) -> Arrays:
        assert self._undo is None, "a snapshot of what is not committed"
        return {"counts": self.counts.copy()}

    def changes(self) -> Arrays | None:
        """Two times after each whole copy."""
        assert self._undo is None, "a snapshot of what is not committed"
        if self._marked is None or self._increments == 2:
            return None
        which = np.flatnonzero((self.counts != self._marked).any(axis=1))
        return {"which": which, "changed": self.counts[which]}

    def mark(self, saved: Arrays, *, whole: bool) -> None:
        self._marked = self.counts.copy()
        self._increments = 0 if whole else self._increments + 1

    def apply(self, changes: Mapping[str, np.ndarray]) -> None:
        self.counts[changes["which"]] = changes["changed"]
        self.mark({}, whole=False)

    def digest(self) -> str:
        return hashlib.sha256(self.counts.tobytes()).hexdigest()

    def add(self, key: int, value: int) -> None:
        """Not commutative: the order of events and side records shows."""
        self.counts[key, 0] += 1
        self.counts[key, 1] = (self.counts[key, 1] * 31 + value) % 1_000_003


class CountStage:
    """Values are `KEY:ID`; `bad:` is rejected, `boom:` raises. Emits `ID COUNT` for each good
    event.
    """

    name = "toy"
    input = "in"
    side: str | None = "side"
    snapshot_tag = "v1"
    reach = 0

    def new_state(self, partition: int, partitions: int) -> Counters:
        return Counters()

    def load_state(
        self, partition: int, partitions: int, arrays: Mapping[str, np.ndarray]
    ) -> Counters:
        state = Counters(arrays["counts"])
        state.mark({}, whole=True)
        return state

    def absorb(self, state: Counters, batch: Batch) -> None:
        for value in batch.values:
            for key in range(KEYS + 1):
                state.add(key, int(value or b"0"))

    def side_from(self, state: Counters) -> int:
        return 0

    def process(self, state: Counters, batch: Batch) -> Output:
        rejects, values = [], []
        for at, value in enumerate(batch.values):
            key, _, name = (value or b"").partition(b":")
            if key == b"boom":
                raise ZeroDivisionError(name.decode())
            if key == b"bad":
                rejects.append(Reject(at, "bad_key", name.decode()))
                continue
            state.add(int(key), int(name))
            values.append(b"%s %d" % (name, state.counts[int(key), 1]))
        return Output([Emit("out", [None] * len(values), values)], rejects)


class CopyStage(StatelessStage):
    """Bytes through."""

    name = "copy"
    input = "in"

    def __init__(self, source: str = "in", to: str = "out") -> None:
        self.input, self._to = source, to

    def process(self, state: NoState, batch: Batch) -> Output:
        return Output([Emit(self._to, batch.keys, batch.values)])
