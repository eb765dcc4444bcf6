"""The fold of labels into online weights: what one label does to a state.

A label whose id is among the last 65,536 changes nothing, and so does one that repeats what was
said of its transaction. One that says the opposite takes back what the label before it had added to
the weights (as it was added, without the decay since), and is then learnt like any other.
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from model.detectors.base import Array
from model.detectors.online import HOURLY, Online
from model.hashing import hash64
from model.learning.guards import Contest, Quota
from tidegate.errors import ConfigError
from tidegate.stream.stage import Arrays

RECENT = 65_536
"""Labels that are remembered: so long a label can come again, or be corrected."""
ENTRY = np.dtype([("label", "<u8"), ("transaction", "<u8"), ("step", "<f8"), ("fraud", "?")])
NEVER = -1
Outcome = Literal["learnt", "corrected", "repeated", "duplicate", "over_quota", "frozen"]


class Given(NamedTuple):
    """A label as the fold needs it; ids and source as they were given, the time of its record in
    ms.
    """

    offset: int
    label_id: str
    transaction_id: str
    source: str
    fraud: bool
    time_ms: int


class Learned:
    """Weights, and what decides how the next label moves them."""

    def __init__(self, params: Array, hourly: int, entries: NDArray[Any] | None = None) -> None:
        self.params = params.copy()
        self.learnt = self.remembered = 0
        self.frozen_at = NEVER
        """Offset of the label with which the online model lost against the frozen one; `NEVER`
        while it has not.
        """
        self.quota, self.contest = Quota(hourly), Contest()
        self.entries = np.zeros(RECENT, ENTRY) if entries is None else entries.copy()
        self.index()

    def index(self) -> None:
        """Find entries by label and by transaction, the newest of a transaction."""
        order = np.roll(np.arange(RECENT), -(self.remembered % RECENT))
        order = order[self.entries["label"][order] > 0]
        self.labels = dict(zip(self.entries["label"][order].tolist(), order.tolist(), strict=True))
        self.transactions = dict(
            zip(self.entries["transaction"][order].tolist(), order.tolist(), strict=True)
        )

    def remember(self, label: int, transaction: int, step: float, fraud: bool) -> tuple[int, Any]:
        """Put an entry in place of the oldest; its place, and what was there."""
        at = self.remembered % RECENT
        before = self.entries[at].copy()
        self.labels.pop(int(before["label"]), None)
        if self.transactions.get(int(before["transaction"])) == at:
            del self.transactions[int(before["transaction"])]
        self.entries[at] = label, transaction, step, fraud
        self.labels[label] = self.transactions[transaction] = at
        self.remembered += 1
        return at, before


class LearnState:
    """A `tidegate.stream.stage.State` around what was learned, with an undo log."""

    def __init__(self, learned: Learned) -> None:
        self.learned = learned
        self.rollbacks: list[tuple[int, int]] = []
        """Each rollback's own offset, and the one it went back to."""
        self._before: tuple[Learned, Array, int, int, int, Quota, Contest] | None = None
        self._entries: list[tuple[int, Any]] = []
        self._rolled = 0

    @property
    def params(self) -> Array:
        return self.learned.params

    def begin(self) -> None:
        if self._before is not None:
            raise RuntimeError("begin on top of an open begin")
        now = self.learned
        self._before = (
            now,
            now.params.copy(),
            now.learnt,
            now.remembered,
            now.frozen_at,
            now.quota.copy(),
            now.contest.copy(),
        )
        self._entries, self._rolled = [], len(self.rollbacks)

    def rollback(self) -> None:
        if self._before is None:
            raise RuntimeError("rollback without begin")
        then = self._before[0]
        _, then.params, then.learnt, then.remembered, then.frozen_at, then.quota, then.contest = (
            self._before
        )
        for at, before in reversed(self._entries):
            then.entries[at] = before
        if self._entries:
            then.index()
        del self.rollbacks[self._rolled :]
        self.learned, self._before, self._entries = then, None, []

    def commit(self) -> None:
        self._before, self._entries = None, []

    def rewind(self, learned: Learned, offset: int, to: int) -> None:
        """Go on from what had been learned before offset `to`, as the record at `offset` says."""
        self.learned = learned
        self.rollbacks.append((offset, to))

    def counted_before(self, offset: int) -> list[tuple[int, int]]:
        """The ranges of offsets whose labels made what was learned before `offset`, in order."""
        ranges: list[tuple[int, int]] = []
        for at, to in reversed(self.rollbacks):
            if at < offset:
                ranges.append((at + 1, offset))
                offset = to
        return [*reversed([*ranges, (0, offset)])]

    def remember(self, *entry: Any) -> None:  # noqa: ANN401 - as `Learned.remember` takes it
        """As `Learned.remember`; a rollback forgets it again."""
        place = self.learned.remember(*entry)
        if self._before is not None and self._before[0] is self.learned:
            self._entries.append(place)

    def arrays(self) -> Arrays:
        now = self.learned
        return {
            "params": now.params.copy(),
            "entries": now.entries.copy(),
            "counts": np.array([now.learnt, now.remembered, now.frozen_at], np.int64),
            "rollbacks": np.array(self.rollbacks, np.int64).reshape(-1, 2),
            **now.quota.arrays(),
            **now.contest.arrays(),
        }

    def digest(self) -> str:
        content = b"".join(
            part.astype(part.dtype.newbyteorder("<")).tobytes() for part in self.arrays().values()
        )
        return hashlib.sha256(content).hexdigest()


class Learner:
    """The fold for one bundle's online model and the settings that the profile gives it."""

    def __init__(self, online: Online, settings: Mapping[str, Any]) -> None:
        self._online, self._hourly = online, int(settings.get("hourly", HOURLY))

    def new_state(self) -> LearnState:
        """Nothing learned yet: the weights of the training."""
        return LearnState(Learned(self._online.params, self._hourly))

    def load_state(self, arrays: Mapping[str, NDArray[Any]]) -> LearnState:
        """What `LearnState.arrays` gave. Raises ConfigError."""
        own = dict(arrays)
        try:
            learned = Learned(
                own["params"].reshape(self._online.params.shape).astype(np.float64),
                self._hourly,
                own["entries"].reshape(RECENT).astype(ENTRY),
            )
            learned.learnt, learned.remembered, learned.frozen_at = own["counts"].tolist()
            rollbacks = [(int(at), int(to)) for at, to in own["rollbacks"].tolist()]
            learned.quota, learned.contest = Quota.load(self._hourly, own), Contest.load(own)
        except (ConfigError, KeyError, ValueError, TypeError) as error:
            raise ConfigError(
                f"the learner's snapshot does not fit ({error}): delete it, it is rebuilt"
            ) from error
        learned.index()
        state = LearnState(learned)
        state.rollbacks = rollbacks
        return state

    def fold(self, state: LearnState, given: Sequence[Given], x: Array) -> Counter[Outcome]:
        """Fold labels in order; `x` f8[n, features] are the columns of their rows. How many had
        which outcome.
        """
        slots = self._online.slots(x)
        frozen = self._online.margins(self._online.params, slots)
        labels, transactions, sources = (
            hash64([text.encode() for text in column]).tolist()
            for column in zip(
                *((one.label_id, one.transaction_id, one.source) for one in given), strict=True
            )
        )
        outcomes: Counter[Outcome] = Counter()
        for i, one in enumerate(given):
            outcomes[
                self._fold(
                    state, one, (labels[i], transactions[i], sources[i]), slots[i], float(frozen[i])
                )
            ] += 1
        return outcomes

    def _fold(
        self,
        state: LearnState,
        one: Given,
        hashes: tuple[int, int, int],
        row: NDArray[np.int32],
        frozen: float,
    ) -> Outcome:
        now, (label, transaction, source) = state.learned, hashes
        if label in now.labels:
            return "duplicate"
        if now.frozen_at != NEVER:
            return "frozen"
        if not now.quota.admit(source, one.time_ms):
            return "over_quota"
        before = now.transactions.get(transaction)
        if before is None:
            online = float(self._online.margins(now.params, row[None])[0])
            if now.contest.judge(_probability(online), _probability(frozen), one.fraud):
                now.frozen_at = one.offset
                return "frozen"
        elif (said := now.entries[before])["fraud"] == one.fraud:
            state.remember(label, transaction, float(said["step"]), one.fraud)
            return "repeated"
        else:
            self._online.take_back(now.params, row, float(said["step"]))
        step = self._online.step(now.params, row, one.fraud)
        state.remember(label, transaction, step, one.fraud)
        now.learnt += 1
        return "learnt" if before is None else "corrected"

    def weights(self, state: LearnState) -> Array:
        """What to score with: the learned weights, or the training's once the online model has
        lost.
        """
        return state.params if state.learned.frozen_at == NEVER else self._online.params


def _probability(margin: float) -> float:
    return 1.0 / (1.0 + math.exp(-margin)) if margin > -700 else 0.0
