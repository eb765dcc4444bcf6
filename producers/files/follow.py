"""Watch sent transactions until each is a row or a dead letter."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path

import msgspec

from tidegate.broker.ports import Broker
from tidegate.broker.records import Batch, TopicPartition
from tidegate.dead_letters.letters import DeadLetter, dead_letters, transaction_id
from tidegate.pipeline import DLQ
from tidegate.profile import Profile

_PROBE = 16
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(list[str]).decode

Existing = Callable[[Sequence[str]], set[str]]
"""Which of these ids are rows of the database: `db.store.Store.existing`."""


class Ids:
    """Ids in a temporary file, some to a line: there may be more of them than fit into memory."""

    def __init__(self, folder: Path) -> None:
        self._file = tempfile.TemporaryFile(prefix="ids-", dir=folder)  # noqa: SIM115 - closed by close()
        self._read = 0

    def add(self, ids: Sequence[str]) -> None:
        self._file.seek(0, 2)
        self._file.write(_encode(ids) + b"\n")

    def next(self) -> list[str]:
        """The ids that were added in one call, in turn; none at the end."""
        self._file.seek(self._read)
        line = self._file.readline()
        self._read += len(line)
        return _decode(line) if line else []

    def __iter__(self) -> Iterator[list[str]]:
        """All of them, from the first on."""
        self._file.seek(0)
        yield from map(_decode, self._file)

    def close(self) -> None:
        self._file.close()


class Follow:
    """Counts what became of the ids given to `add`, each of which is given once.

    The pipeline keeps about the order in which it was fed, so only the oldest unfinished ids are
    asked for, and of those first a few: a full look-up is made when they have arrived. Dead letters
    are read from the offsets `since` on; one from before the offsets `new` counts for an id that is
    no row, for it may have been put back meanwhile.
    """

    def __init__(
        self,
        broker: Broker,
        existing: Existing,
        profile: Profile,
        since: Mapping[TopicPartition, int],
        new: Mapping[TopicPartition, int],
        folder: Path,
    ) -> None:
        self._existing, self._profile, self._new = existing, profile, new
        self._consumer = broker.consumer(None)
        self._consumer.assign(since)
        self._ids = Ids(folder)
        self._asked: set[str] = set()
        self._dead: Counter[str] = Counter()
        self._dead_now: Counter[str] = Counter()
        self._dead_no_rows = 0
        self._seen: set[str] = set()
        self.distinct = 0
        """Ids accepted so far."""
        self.settled = 0
        """Ids that are rows or dead letters."""
        self.rows = 0
        """Ids that are rows."""

    def add(self, ids: Sequence[str]) -> None:
        """Ids that the API has accepted."""
        if ids:
            self._ids.add([self._profile.stored_id(name) for name in ids])
            self.distinct += len(ids)

    def dead_letters(self) -> int:
        """Dead letters of the ids that were sent. Reads all of the ids where there are any."""
        if not self._dead_now:
            return self._dead_no_rows
        late = sum(self._dead_now[key] for ids in self._ids for key in ids)
        return self._dead_no_rows + late

    def poll(self, timeout: float = 0.2) -> bool:
        """Look again; True when every id is settled. Reads the dead letters to their end first."""
        while batches := self._consumer.poll(5000, timeout):
            timeout = 0.0
            for batch in batches:
                self._bury(batch)
        while self._asked or self.settled < self.distinct:
            self._asked = self._asked or set(self._ids.next())
            if not self._settle(self._asked):
                return False
        return True

    def _bury(self, batch: Batch) -> None:
        """Count each dead letter once, also where a crash made copies of it."""
        for letter in dead_letters(batch):
            if letter.identity in self._seen:
                continue
            self._seen.add(letter.identity)
            dead = self._dead_now if self._is_new(letter) else self._dead
            dead[transaction_id(self._profile, letter)] += 1

    def _is_new(self, letter: DeadLetter) -> bool:
        partition, offset = letter.place
        return offset >= self._new.get(TopicPartition(DLQ, partition), 0)

    def _settle(self, ids: set[str]) -> bool:
        """Strike out the ids that are rows or dead letters; True when none is left."""
        for most in (_PROBE, len(ids)):
            asked = list(islice(ids, most))
            rows = self._existing(asked)
            dead = {key for key in asked if key in self._dead or key in self._dead_now} - rows
            self.rows += len(rows)
            self.settled += len(rows | dead)
            self._dead_no_rows += sum(self._dead[key] for key in dead)
            ids -= rows | dead
            if len(rows | dead) < len(asked):
                break
        return not ids

    def close(self) -> None:
        self._consumer.close()
        self._ids.close()
