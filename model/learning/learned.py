"""What a learner knows: the state of the fold of labels, with an undo log."""

from __future__ import annotations

import hashlib
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from model.detectors.base import Array
from model.learning.guards import Contest
from tidegate.stream.stage import Arrays

RECENT = 65_536
"""Labels that are remembered: so long a label can come again, or be corrected."""
ENTRY = np.dtype(
    [
        ("label", "<i8"),
        ("transaction", "<i8"),
        ("given_us", "<i8"),
        ("step", "<f8"),
        ("fraud", "?"),
    ]
)
"""A label that was learnt. `transaction` is 0 where it never held: then it says nothing of one."""
NEVER = -1
Outcome = Literal[
    "learnt", "corrected", "repeated", "duplicate", "weightless", "frozen", "superseded"
]


class LabelRecord(NamedTuple):
    """A label on its log: ids as they were sent, and the offset of the record."""

    offset: int
    label_id: str
    transaction_id: str
    fraud: bool
    given_us: int
    weight: float = 1.0


class Learned:
    """Weights, and what decides how the next label moves them."""

    def __init__(self, params: Array, entries: NDArray[Any] | None = None) -> None:
        self.params = params.copy()
        self.learnt = self.remembered = 0
        self.frozen_at = NEVER
        """Offset of the label with which the online model lost against the frozen one; `NEVER`
        while it has not.
        """
        self.contest = Contest()
        self.entries = np.zeros(RECENT, ENTRY) if entries is None else entries.copy()
        self.index()

    def index(self) -> None:
        """Find entries by label and by transaction, the newest of a transaction."""
        order = np.roll(np.arange(RECENT), -(self.remembered % RECENT))
        order = order[self.entries["label"][order] != 0]
        self.labels = dict(zip(self.entries["label"][order].tolist(), order.tolist(), strict=True))
        order = order[self.entries["transaction"][order] != 0]
        self.transactions = dict(
            zip(self.entries["transaction"][order].tolist(), order.tolist(), strict=True)
        )

    def remember(
        self, label: int, transaction: int, given_us: int, step: float, fraud: bool
    ) -> tuple[int, Any]:
        """Put an entry in place of the oldest; its place, and what was there."""
        place = self.remembered % RECENT
        before = self.entries[place].copy()
        self.labels.pop(int(before["label"]), None)
        if self.transactions.get(int(before["transaction"])) == place:
            del self.transactions[int(before["transaction"])]
        self.entries[place] = label, transaction, given_us, step, fraud
        self.labels[label] = place
        if transaction:
            self.transactions[transaction] = place
        self.remembered += 1
        return place, before


class _Before(NamedTuple):
    """What `LearnState.begin` keeps of what was learned, to go back to."""

    learned: Learned
    params: Array
    learnt: int
    remembered: int
    frozen_at: int
    contest: Contest


class LearnState:
    """A `tidegate.stream.stage.State` around what was learned, with an undo log."""

    def __init__(self, learned: Learned) -> None:
        self.learned = learned
        self.rollbacks: list[tuple[int, int]] = []
        """Each rollback's own offset, and the one it went back to."""
        self.told: list[tuple[LabelRecord, Outcome]] = []
        """Labels that moved no weights and are not told yet; one that came again is none."""
        self.passed = 0
        """Labels of other versions of the profile that are not counted yet."""
        self._before: _Before | None = None
        self._overwritten: list[tuple[int, Any]] = []
        self._rolled = 0

    @property
    def params(self) -> Array:
        return self.learned.params

    def begin(self) -> None:
        if self._before is not None:
            raise RuntimeError("begin on top of an open begin")
        now = self.learned
        self._before = _Before(
            now,
            now.params.copy(),
            now.learnt,
            now.remembered,
            now.frozen_at,
            now.contest.copy(),
        )
        self._overwritten = []
        self._rolled = len(self.rollbacks)
        self.told, self.passed = [], 0

    def take_passed(self) -> int:
        """How many labels were passed over since `begin` or the last call."""
        passed, self.passed = self.passed, 0
        return passed

    def take_told(self) -> list[tuple[LabelRecord, Outcome]]:
        """The labels that moved no weights since `begin` or the last call."""
        told, self.told = self.told, []
        return told

    def rollback(self) -> None:
        if self._before is None:
            raise RuntimeError("rollback without begin")
        before = self._before
        learned = before.learned
        learned.params = before.params
        learned.learnt = before.learnt
        learned.remembered = before.remembered
        learned.frozen_at = before.frozen_at
        learned.contest = before.contest
        for place, entry in reversed(self._overwritten):
            learned.entries[place] = entry
        if self._overwritten:
            learned.index()
        del self.rollbacks[self._rolled :]
        self.learned = learned
        self.commit()

    def commit(self) -> None:
        self._before = None
        self._overwritten = []

    def rewind(self, learned: Learned, offset: int, to: int) -> None:
        """Go on from what had been learned before offset `to`, as the record at `offset` says."""
        self.learned = learned
        self.rollbacks.append((offset, to))

    def counted_before(self, offset: int) -> list[tuple[int, int]]:
        """The ranges of offsets whose labels made what was learned before `offset`, in order."""
        ranges: list[tuple[int, int]] = []
        for own_offset, to in reversed(self.rollbacks):
            if own_offset < offset:
                ranges.append((own_offset + 1, offset))
                offset = to
        ranges.append((0, offset))
        ranges.reverse()
        return ranges

    def remember(self, *entry: Any) -> None:  # noqa: ANN401 - as `Learned.remember` takes it
        """As `Learned.remember`; a rollback forgets it again."""
        overwritten = self.learned.remember(*entry)
        if self._before is not None and self._before.learned is self.learned:
            self._overwritten.append(overwritten)

    def arrays(self) -> Arrays:
        now = self.learned
        return {
            "params": now.params.copy(),
            "entries": now.entries.copy(),
            "counts": np.array([now.learnt, now.remembered, now.frozen_at], np.int64),
            "rollbacks": np.array(self.rollbacks, np.int64).reshape(-1, 2),
            **now.contest.arrays(),
        }

    def digest(self) -> str:
        content = b"".join(
            array.astype(array.dtype.newbyteorder("<")).tobytes()
            for array in self.arrays().values()
        )
        return hashlib.sha256(content).hexdigest()
