"""Watch sent transactions until each is a row or a dead letter."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from itertools import islice

from producers.redrive.letters import dead_letters, transaction_id
from tidegate.broker.ports import Broker
from tidegate.broker.records import Batch, TopicPartition
from tidegate.profile import Profile

_PROBE = 16

Existing = Callable[[Sequence[str]], set[str]]
"""Which of these ids are rows of the database: `db.store.Store.existing`."""


class Follow:
    """Counts what became of the ids given to `add`.

    The pipeline keeps about the order in which it was fed, so only the oldest unfinished ids are
    asked for, and of those first a few: a full look-up is made when they have arrived. Dead letters
    are read from the offsets `since` on.
    """

    def __init__(
        self,
        broker: Broker,
        existing: Existing,
        profile: Profile,
        since: Mapping[TopicPartition, int],
    ) -> None:
        self._existing, self._profile = existing, profile
        self._consumer = broker.consumer(None)
        self._consumer.assign(since)
        self._waiting: deque[set[str]] = deque()
        self._sent: set[str] = set()
        self._dead: Counter[str] = Counter()
        self._seen: set[str] = set()
        self.rows = 0
        """Distinct ids that are rows."""

    def add(self, ids: Sequence[str]) -> None:
        """Ids that the API has accepted."""
        new = set(ids) - self._sent
        self._sent |= new
        if new:
            self._waiting.append(new)

    @property
    def distinct(self) -> int:
        """Different ids accepted so far."""
        return len(self._sent)

    @property
    def settled(self) -> int:
        """Distinct ids that are rows or dead letters."""
        return len(self._sent) - sum(map(len, self._waiting))

    @property
    def dead_letters(self) -> int:
        """Dead letters of the ids that were sent."""
        return sum(count for key, count in self._dead.items() if key in self._sent)

    def poll(self, timeout: float = 0.2) -> bool:
        """Look again; True when every id is settled. Reads the dead letters to their end first."""
        while batches := self._consumer.poll(5000, timeout):
            timeout = 0.0
            for batch in batches:
                self._bury(batch)
        while self._waiting and self._settle(self._waiting[0]):
            self._waiting.popleft()
        return not self._waiting

    def _bury(self, batch: Batch) -> None:
        """Count each dead letter once, also where a crash made copies of it."""
        for letter in dead_letters(batch):
            if letter.identity not in self._seen:
                self._seen.add(letter.identity)
                self._dead[transaction_id(self._profile, letter)] += 1

    def _settle(self, ids: set[str]) -> bool:
        """Strike out the ids that are rows or dead letters; True when none is left."""
        for most in (_PROBE, len(ids)):
            asked = list(islice(ids, most))
            rows = self._existing(asked)
            dead = {key for key in asked if key in self._dead}
            self.rows += len(rows)
            ids -= rows | dead
            if len(rows | dead) < len(asked):
                break
        return not ids

    def close(self) -> None:
        self._consumer.close()
