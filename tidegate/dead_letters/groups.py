"""The dead letters there are, grouped: a fold of the topic's tail and of what redrives did.

A letter costs 32 bytes, so a million take 32 MB; older ones are forgotten. What is counted is exact
for those that are kept. The letters themselves stay in Kafka, and are read by their address.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b
from typing import Any, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from tidegate.broker.records import Batch
from tidegate.dead_letters.columns import Rows
from tidegate.dead_letters.plan import Mark
from tidegate.dead_letters.shape import Kind, kind_of
from tidegate.messages.ciphertext import is_closed
from tidegate.pipeline import DLQ
from tidegate.profile import Profile
from tidegate.stream.dead_letters import told

MOST = 1_000_000
"""Letters, and marks of redrives, that are kept."""
MOST_GROUPS = 2000
"""When there are so many, letters of a new shape are grouped by their stage and reason alone."""
HOURS = 24
"""Of the sparkline."""
_MS_AN_HOUR = 3_600_000
Action = Literal["waiting", "redriven", "quarantined", "dropped"]
ACTIONS: tuple[Action, ...] = ("waiting", "redriven", "quarantined", "dropped")
_LETTER = np.dtype(
    [("identity", "u8"), ("time_ms", "i8"), ("offset", "i8"), ("partition", "i4"), ("group", "i4")]
)
_MARK = np.dtype([("identity", "u8"), ("action", "i1")])


@dataclass(frozen=True, slots=True)
class Group:
    """Letters of one kind. `counts` are by what was done with them, `hours` the letters of each of
    the last 24 hours, oldest first. `detail` is that of one of them, as it may be shown.
    """

    kind: Kind
    detail: str
    counts: dict[Action, int]
    first_ms: int
    last_ms: int
    hours: list[int]

    @property
    def signature(self) -> str:
        """Names the group."""
        return self.kind.signature

    @property
    def count(self) -> int:
        """All letters, copies of one counted once."""
        return sum(self.counts.values())

    @property
    def waiting(self) -> int:
        """Letters that no redrive has dealt with."""
        return self.counts["waiting"]


@dataclass(frozen=True, slots=True)
class Address:
    """Where a letter lies on the topic, when it came there, and what was done with it."""

    partition: int
    offset: int
    time_ms: int
    action: Action

    @property
    def place(self) -> str:
        """As `redrive --offset` takes it."""
        return f"{self.partition}:{self.offset}"


class Snapshot:
    """The letters at one moment: copies of one letter once, each with what was done with it."""

    def __init__(
        self, letters: NDArray[Any], marks: NDArray[Any], kinds: Sequence[tuple[Kind, str]]
    ) -> None:
        _, first = np.unique(letters["identity"], return_index=True)
        self._letters = letters[np.sort(first)]
        self._actions = _actions(self._letters["identity"], marks)
        self._kinds = kinds

    @cached_property
    def _sorted(self) -> NDArray[np.intp]:
        """The letters by group, oldest first within each."""
        letters = self._letters
        return np.lexsort((letters["offset"], letters["time_ms"], letters["group"]))

    def groups(self, now_ms: int) -> list[Group]:
        """Every group that has letters, the one with the newest letter first."""
        numbers = self._letters["group"][self._sorted]
        starts = np.flatnonzero(np.diff(numbers, prepend=-1)).tolist()
        ends = [*starts[1:], len(numbers)]
        found = [
            self._group(int(numbers[start]), self._sorted[start:end], now_ms)
            for start, end in zip(starts, ends, strict=False)
        ]
        return sorted(found, key=lambda group: group.last_ms, reverse=True)

    def _group(self, number: int, index: NDArray[np.intp], now_ms: int) -> Group:
        times = self._letters["time_ms"][index]
        ages = (now_ms // _MS_AN_HOUR) - times // _MS_AN_HOUR
        recent = HOURS - 1 - np.maximum(ages[ages < HOURS], 0)
        counted = np.bincount(self._actions[index], minlength=len(ACTIONS)).tolist()
        kind, detail = self._kinds[number]
        return Group(
            kind,
            detail,
            dict(zip(ACTIONS, counted, strict=True)),
            int(times[0]),
            int(times[-1]),
            np.bincount(recent, minlength=HOURS).tolist(),
        )

    def action_of(self, identity: str) -> Action:
        """What was done with the letter of this identity."""
        found = np.flatnonzero(self._letters["identity"] == _hash(identity))
        return ACTIONS[self._actions[found[0]]] if len(found) else "waiting"

    def addresses(
        self, signature: str, start: int, most: int, action: Action | None = None
    ) -> list[Address]:
        """At most so many letters of a group from `start` on, newest first."""
        number = next((i for i, (k, _) in enumerate(self._kinds) if k.signature == signature), -1)
        numbers = self._letters["group"][self._sorted]
        low, high = np.searchsorted(numbers, (number, number + 1))
        index = self._sorted[low:high][::-1]
        if action:
            index = index[self._actions[index] == ACTIONS.index(action)]
        index = index[start : start + most]
        return [
            Address(int(row["partition"]), int(row["offset"]), int(row["time_ms"]), ACTIONS[done])
            for row, done in zip(self._letters[index], self._actions[index].tolist(), strict=True)
        ]


class Groups:
    """Folds the dead letters and the marks of redrives. Thread-safe."""

    def __init__(self, profile: Profile, most: int = MOST, most_groups: int = MOST_GROUPS) -> None:
        self._masks, self._most_groups = profile.masks, most_groups
        self._letters, self._marks = Rows(_LETTER, most), Rows(_MARK, most)
        self._next: dict[object, int] = {}
        self._numbers: dict[Kind, int] = {}
        self._kinds: list[tuple[Kind, str]] = []
        self._lock = threading.Lock()
        self._snapshot: Snapshot | None = None

    def absorb(self, batch: Batch) -> None:
        """Take records of the dead-letter topic; those that were taken before are left out."""
        with self._lock:
            start = self._unread(batch)
            rows = [self._row(batch, place) for place in range(start, len(batch))]
            if rows:
                self._letters.extend(rows)
                self._snapshot = None

    def absorb_marks(self, batch: Batch) -> None:
        """Take records of the topic of marks."""
        with self._lock:
            values = batch.values[self._unread(batch) :]
            marks = [msgspec.json.decode(value or b"", type=Mark) for value in values]
            if marks:
                rows = [(_hash(mark.identity), ACTIONS.index(mark.action)) for mark in marks]
                self._marks.extend(rows)
                self._snapshot = None

    def now(self) -> Snapshot:
        """The letters as they are; made once for all who ask until something comes."""
        with self._lock:
            if self._snapshot is None:
                letters, marks = self._letters.copy(), self._marks.copy()
                self._snapshot = Snapshot(letters, marks, list(self._kinds))
            return self._snapshot

    def _unread(self, batch: Batch) -> int:
        """The index of the first record that is new: who reads a topic may begin again."""
        known = self._next.get(batch.source, 0)
        self._next[batch.source] = max(known, batch.next_offset)
        return int(np.searchsorted(batch.offsets, known))

    def _row(self, batch: Batch, place: int) -> tuple[int, int, int, int, int]:
        said, value = told(batch.headers[place]), batch.values[place]
        partition, offset = batch.source.partition, batch.offsets[place]
        detail = said.get("detail", "")
        if not is_closed(value):
            detail = self._masks.said(detail, value)
        identity = said.get("key") or f"{DLQ}/{partition}/{offset}"
        number = self._number(kind_of(said, detail), detail)
        return _hash(identity), batch.timestamps[place], offset, partition, number

    def _number(self, kind: Kind, detail: str) -> int:
        if kind not in self._numbers and len(self._numbers) >= self._most_groups:
            kind = kind._replace(shape="")
        if kind not in self._numbers and len(self._numbers) >= 2 * self._most_groups:
            kind = Kind("", "", "")
        if kind not in self._numbers:
            self._numbers[kind] = len(self._kinds)
            self._kinds.append((kind, detail[:1000]))
        return self._numbers[kind]


def _hash(identity: str) -> int:
    return int.from_bytes(blake2b(identity.encode(), digest_size=8).digest(), "little")


def _actions(identities: NDArray[np.uint64], marks: NDArray[Any]) -> NDArray[np.int8]:
    """What the newest mark of each letter says, as an index of ACTIONS."""
    found = np.zeros(len(identities), np.int8)
    marked, newest = np.unique(marks["identity"][::-1], return_index=True)
    if len(marked):
        actions = marks["action"][::-1][newest]
        at = np.minimum(np.searchsorted(marked, identities), len(marked) - 1)
        hit = marked[at] == identities
        found[hit] = actions[at[hit]]
    return found
