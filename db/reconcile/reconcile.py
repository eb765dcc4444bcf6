"""Every record of the raw topic against rows, dead letters and what is under way.

The stages may go on meanwhile. A record moves downstream only, and leaves a topic in the
transaction that writes it to the next. So the topics are looked at in the order of the flow, then
the dead letters, then the rows: what has left one place by then is found in a later one.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from db.account_keys import vault_of
from db.engine import reading
from db.erasing import erased_at, ids_secret
from db.positions import Origin, load
from db.reconcile.ledger import (
    DEAD,
    OUTCOMES,
    READ,
    ROW,
    UNDER_WAY,
    Ledger,
    Missing,
    Totals,
    places,
)
from db.store import Store
from tidegate.broker.ports import Broker, Consumer
from tidegate.broker.records import Batch, TopicPartition
from tidegate.dead_letters.letters import dead_letters, id_on_raw
from tidegate.errors import Rejected, Retry
from tidegate.messages.ciphertext import ERASED
from tidegate.messages.origin import origin
from tidegate.pipeline import DLQ, FRAMES, RAW, SCORED, STAGES, group_of
from tidegate.profile import Profile
from tidegate.profile.envelope import Passed
from tidegate.stream.dead_letters import place
from tidegate.stream.side_topic import read_range

_SIZE = 5000
_PATIENCE_SECONDS = 30.0
_SLACK_MS = 3_600_000
"""A row may have been ingested so long before the first record that is kept: clocks are set."""
_REPEAT, _PASSED, _ERASED, _MISSING = (
    OUTCOMES.index(name) for name in ("repeat", "passed", "erased", "missing")
)
Places = NDArray[np.int64]


class Reconciler:
    """Reads topics and database once; writes nothing.

    Memory: a byte for each offset of the raw topic, and 8 for each transaction that is under way
    behind the first step or a dead letter there.
    """

    def __init__(self, broker: Broker, profile: Profile, database: str) -> None:
        self._broker, self._profile, self._url = broker, profile, database
        self._store = Store(database, profile)
        self._vault, self._ids_secret = vault_of(profile, database), ids_secret(profile)
        self._elsewhere: list[NDArray[np.uint64]] = []
        """Hashes of ids that are frames under way or dead letters: repeats of them bring no row."""

    def run(self, since_ms: int = 0, keep: int = 0) -> Totals:
        """Count what was ingested from `since_ms` on (0: all that Kafka keeps).

        `keep`: how many of the missing are named (0: all). Raises Stop when the database belongs
        to another Kafka, Retry when something is away.
        """
        self._elsewhere = []
        raw = self._broker.consumer(None)
        try:
            ledger = Ledger(
                {
                    source.partition: (_start(raw, source, since_ms), raw.bounds(source)[1])
                    for source in raw.partitions(RAW)
                }
            )
            for topic in (RAW, *FRAMES):
                self._mark_under_way(ledger, topic)
            self._mark_dead_letters(ledger, since_ms)
            self._mark_rows(ledger, self._first_times(raw, ledger))
            return self._count(ledger, raw, keep)
        finally:
            raw.close()

    def close(self) -> None:
        """Close the connections to the database."""
        self._store.close()
        if self._vault is not None:
            self._vault.close()

    def _mark_under_way(self, ledger: Ledger, topic: str) -> None:
        stage = next(spec.name for spec in STAGES.values() if spec.input == topic)
        consumer = self._broker.watcher(group_of(stage))
        try:
            sources = consumer.partitions(topic)
            done = self._committed(consumer, topic, sources)
            if topic == RAW:
                for source in sources:
                    ledger.mark_from(UNDER_WAY, source.partition, done.get(source, 0))
                return
            starts = {
                source: max(consumer.bounds(source)[0], done.get(source, 0)) for source in sources
            }
        finally:
            consumer.close()
        for batch in self._read_through(starts):
            self._mark_frames(ledger, UNDER_WAY, batch.values)

    def _committed(
        self, consumer: Consumer, topic: str, sources: list[TopicPartition]
    ) -> Mapping[TopicPartition, int]:
        """Where the stage that reads this topic goes on."""
        if topic != SCORED:
            positions = consumer.committed(sources)
        else:
            identity = self._broker.topic_ids([topic])[topic]
            with reading(self._url) as connection:
                owner = Origin(topic, self._broker.cluster_id(), *identity)
                positions = load(connection, owner, sources)
        return {source: position.offset for source, position in positions.items()}

    def _read_through(self, starts: Mapping[TopicPartition, int]) -> Iterator[Batch]:
        """The records from `starts` to the logs' ends, also those of transactions that are being
        committed now. Raises Retry when they do not come.
        """
        consumer = self._broker.consumer(None)
        ends: dict[TopicPartition, int] = {}
        deadline = time.monotonic() + _PATIENCE_SECONDS
        try:
            consumer.assign(starts)
            while len(ends) < len(starts) or any(
                (consumer.position(source) or 0) < end for source, end in ends.items()
            ):
                batches = consumer.poll(_SIZE, 0.1)
                if batches:
                    deadline = time.monotonic() + _PATIENCE_SECONDS
                yield from batches
                for source in starts.keys() - ends.keys():
                    if (end := consumer.end(source)) is not None:
                        ends[source] = end
                if time.monotonic() > deadline:
                    raise Retry(f"{min(starts).topic} cannot be read to its end")
        finally:
            consumer.close()

    def _mark_frames(self, ledger: Ledger, bit: int, values: Sequence[bytes | None]) -> None:
        origins = [found for value in values if (found := origin(value)) is not None]
        if origins:
            ledger.mark(bit, places([(each.partition, each.offset) for each in origins]))
            self._elsewhere.append(_hashes([each.id for each in origins]))

    def _mark_dead_letters(self, ledger: Ledger, since_ms: int) -> None:
        consumer = self._broker.consumer(None)
        try:
            starts = {
                source: _start(consumer, source, since_ms) for source in consumer.partitions(DLQ)
            }
        finally:
            consumer.close()
        for batch in self._read_through(starts):
            letters = dead_letters(batch)
            failed = [found for letter in letters if (found := place(letter.told)) is not None]
            on_raw = [(at.partition, offset) for at, offset in failed if at.topic == RAW]
            ledger.mark(DEAD, places(on_raw))
            frames = [letter.value for letter in letters if letter.told.get("topic") in FRAMES]
            self._mark_frames(ledger, DEAD, frames)

    def _first_times(self, raw: Consumer, ledger: Ledger) -> Mapping[int, int]:
        """When the first record of each partition that has one was ingested, in ms."""
        times: dict[int, int] = {}
        for partition, (first, end) in ledger.bounds.items():
            source = TopicPartition(RAW, partition)
            batch = next(iter(read_range(raw, source, first, end, 1)), None)
            if batch is not None:
                times[partition] = batch.timestamps[0]
        return times

    def _mark_rows(self, ledger: Ledger, first_ms: Mapping[int, int]) -> None:
        """Rows that are older than the log belong to records that are not kept any more, or to a
        raw topic that was made anew, whose offsets begin again.
        """
        if not first_ms:
            return
        oldest_us = {partition: (ms - _SLACK_MS) * 1000 for partition, ms in first_ms.items()}
        for rows in self._store.raw_places(min(oldest_us.values())):
            for partition, since_us in oldest_us.items():
                own = rows[(rows[:, 0] == partition) & (rows[:, 2] >= since_us)]
                ledger.mark_offsets(ROW, partition, own[:, 1])

    def _count(self, ledger: Ledger, raw: Consumer, keep: int) -> Totals:
        totals = Totals()
        elsewhere = np.unique(np.concatenate([*self._elsewhere, np.empty(0, np.uint64)]))
        for partition, (first, end) in ledger.bounds.items():
            for batch in read_range(raw, TopicPartition(RAW, partition), first, end, _SIZE):
                offsets = np.array(batch.offsets, np.int64)
                ledger.mark_offsets(READ, partition, offsets)
                outcomes = ledger.outcomes(partition, offsets)
                unknown = np.flatnonzero(outcomes < 0)
                if len(unknown):
                    rest = batch.take(unknown.tolist())
                    ids, outcomes[unknown] = self._look_closer(rest, elsewhere)
                    _name_missing(totals, rest, ids, outcomes[unknown], keep)
                totals.add(partition, np.array(batch.timestamps, np.int64), outcomes)
        totals.rows_without_record = ledger.rows_without_record()
        return totals

    def _look_closer(
        self, batch: Batch, elsewhere: NDArray[np.uint64]
    ) -> tuple[list[str], NDArray[np.int8]]:
        """The ids and outcomes of records that are neither rows nor dead letters nor under way."""
        if self._vault is not None:
            batch = replace(batch, values=self._vault.decrypt(batch.values))
        ids = [self._id(batch, index) for index in range(len(batch))]
        named = [name for name in ids if name]
        rows = self._store.existing(sorted(set(named)))
        erased = erased_at(self._url, self._ids_secret, named)
        known = np.isin(_hashes([(name or "").encode() for name in ids]), elsewhere).tolist()
        outcomes = np.full(len(ids), _MISSING, np.int8)
        for index, name in enumerate(ids):
            if name is None:
                outcomes[index] = _PASSED
            elif batch.values[index] == ERASED or name in erased:
                outcomes[index] = _ERASED
            elif name and (known[index] or name in rows):
                outcomes[index] = _REPEAT
        return [name or "" for name in ids], outcomes

    def _id(self, batch: Batch, index: int) -> str | None:
        """The id of a record, "" where it cannot be read; None if it brings no transaction."""
        envelope, value = self._profile.envelope, batch.values[index]
        if envelope is not None and value != ERASED:
            try:
                if isinstance(envelope.open(value, batch.headers[index]), Passed):
                    return None
            except Rejected:
                return ""
        place = f"{RAW}-{batch.source.partition}-{batch.offsets[index]}"
        return id_on_raw(self._profile, value or b"", place, batch.headers[index])


def _start(consumer: Consumer, source: TopicPartition, since_ms: int) -> int:
    return consumer.offset_at(source, since_ms) if since_ms else consumer.bounds(source)[0]


def _name_missing(
    totals: Totals, batch: Batch, ids: list[str], outcomes: NDArray[np.int8], keep: int
) -> None:
    for index in np.flatnonzero(outcomes == _MISSING).tolist():
        if keep and len(totals.missing) >= keep:
            return
        totals.missing.append(
            Missing(
                batch.source.partition, batch.offsets[index], batch.timestamps[index], ids[index]
            )
        )


def _hashes(ids: list[bytes]) -> NDArray[np.uint64]:
    digests = b"".join([blake2b(name, digest_size=8).digest() for name in ids])
    return np.frombuffer(digests, np.uint64)
