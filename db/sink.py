"""The sink of the persist stage: rows and next offsets in one SQL transaction.

guard and move the offsets ─► insert the rows ─► find conflicting duplicates ─► dead letters,
durable ─► COMMIT

The dead letters are durable before the commit, so none is lost; when the commit then fails they are
written again, with the same `tidegate-key`. When a commit's answer is lost nobody knows whether it
happened: the write ends in Retry, the runner asks `positions` again, and the database says where to
go on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, select

from db import names
from db.beside import write_beside
from db.blocks.packed import of_frames
from db.blocks.upkeep import Upkeep
from db.engine import open_database, parts, retrying
from db.names import Names
from db.positions import Cursor
from db.postgres import PostgresWriter
from db.retention import Retention
from db.rows import Inserted, ScoredRows, by_id, merge
from db.sqlite import SqliteWriter
from db.tables import transactions
from tidegate import metrics
from tidegate.broker.ports import Broker
from tidegate.broker.records import Batch, Position, TopicPartition
from tidegate.messages.frames import Frames
from tidegate.pipeline import SCORED
from tidegate.stream.dead_letters import dead_letters, deliver
from tidegate.stream.stage import Output, Reject

_DELIVERY_SECONDS = 30.0
_CONFLICT = "conflicting_duplicate"
_LOOKUP = 1000  # ids in one IN list


class Writer(Protocol):
    """What differs between the two databases."""

    def insert(
        self, connection: Connection, frames: Frames, order: NDArray[np.intp], persisted_us: int
    ) -> Inserted: ...
    def close(self) -> None: ...


class SqlSink:
    """Implements `tidegate.stream.sink.Sink` for a stage whose `Output.rows` are `ScoredRows`.

    `names` are saved beside the rows; `clock` gives us; without `retention` rows stay; `sample`:
    the share of the approved rows that get a case. Raises
    ConfigError for a wrong URL, Stop when the database is SQLite and another persist process has
    it.
    """

    def __init__(
        self,
        url: str,
        broker: Broker,
        profile: Names,
        *,
        clock: Callable[[], int],
        stage: str = "persist",
        topic: str = SCORED,
        retention: Retention | None = None,
        sample: float = 0.0,
    ) -> None:
        self._retention, self._sample = retention, sample
        self._database = open_database(url)
        file = self._database.file
        self._writer: Writer = PostgresWriter() if file is None else SqliteWriter(file)
        self._profile = profile
        self._clock = clock
        self._stage = stage
        self._cursor = Cursor(broker, topic)
        self._producer = broker.producer()
        self._upkeep = Upkeep()

    def settle(self) -> None:
        """A failed write has rolled back; the database ends what a lost connection left open. At
        each turn some rows go that are too old, and search blocks are merged. Raises Retry.
        """
        if self._retention is not None:
            metrics.EXPIRED.inc(self._retention.turn(self._database))
        self._upkeep.turn(self._database)

    def positions(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, Position]:
        """From the database. Raises Retry when it or the broker is away, Stop when it belongs to
        another log.
        """
        self._cursor.identify()
        with retrying(self._database), self._database.engine.begin() as connection:
            names.save(connection, self._profile)
            return self._cursor.load(connection, partitions)

    def write(
        self,
        results: list[tuple[Batch, Output]],
        positions: Mapping[TopicPartition, Position],
    ) -> None:
        """One SQL transaction. Raises Retry (nothing was written, or `positions` knows better) or
        Fenced.
        """
        now = self._clock()
        with retrying(self._database), self._database.engine.begin() as connection:
            self._cursor.advance(connection, positions)
            rejects = _Rejects(results)
            frames = self._insert(connection, results, rejects, now)
            self._bury(rejects, now)
        self._cursor.committed(positions)
        if rejects.conflicts:
            metrics.REJECTED.labels(self._stage, _CONFLICT).inc(rejects.conflicts)
        metrics.LATE_DUPLICATES.inc(rejects.late)
        if frames is not None:
            self._upkeep.wrote()
            metrics.observe_many(metrics.END_TO_END_SECONDS, (now - frames.rows["ingest_us"]) / 1e6)

    def close(self) -> None:
        self._producer.close()
        self._writer.close()
        self._database.close()

    def _insert(
        self,
        connection: Connection,
        results: list[tuple[Batch, Output]],
        rejects: _Rejects,
        now: int,
    ) -> Frames | None:
        """Insert the rows of all batches; add conflicting duplicates to `rejects`."""
        scored = [
            (number, output.rows)
            for number, (_, output) in enumerate(results)
            if isinstance(output.rows, ScoredRows)
        ]
        origins = [(number, index) for number, rows in scored for index in rows.indexes]
        if not origins:
            return None
        frames = merge([rows.frames for _, rows in scored])
        first, repeated = by_id(frames.ids)
        inserted = self._writer.insert(connection, frames, first, now)
        if len(inserted.frames):
            block = of_frames(frames, *inserted)
            write_beside(connection, frames, inserted.frames, block, self._sample)
        complete = len(inserted.frames) == len(first)
        if not complete or len(repeated):
            suspects = repeated if complete else np.concatenate([first, repeated])
            for frame in _conflicts(connection, frames, suspects):
                rejects.add(*origins[frame], frames.ids[frame])
        rejects.late = len(frames.ids) - len(inserted.frames) - rejects.conflicts
        return frames

    def _bury(self, rejects: _Rejects, now: int) -> None:
        """Make the dead letters durable."""
        profile = self._profile.hash.encode()
        for batch, rejected in rejects.by_batch():
            letters = dead_letters(self._stage, profile, batch, rejected, now)
            deliver(self._producer, letters, _DELIVERY_SECONDS)


class _Rejects:
    """The rejects of each batch: the stage's, and the `conflicts` found here.

    `late` frames have a row with an equal body: nothing comes of them.
    """

    def __init__(self, results: list[tuple[Batch, Output]]) -> None:
        self._results = results
        self.conflicts = self.late = 0
        self._rejects: list[list[Reject]] = [list(output.rejects) for _, output in results]

    def add(self, number: int, index: int, transaction_id: bytes) -> None:
        """The record at `index` of batch `number` conflicts with the row that is there."""
        self.conflicts += 1
        self._rejects[number].append(
            Reject(
                index,
                _CONFLICT,
                f"transaction {transaction_id.decode()} is already a row, with another body",
            )
        )

    def by_batch(self) -> list[tuple[Batch, list[Reject]]]:
        """The batches that have any."""
        return [
            (batch, rejects)
            for (batch, _), rejects in zip(self._results, self._rejects, strict=True)
            if rejects
        ]


def _conflicts(connection: Connection, frames: Frames, suspects: NDArray[np.intp]) -> list[int]:
    """Those of `suspects`, which all have a row by now, whose row has another body."""
    wanted = sorted({frames.ids[frame].decode() for frame in suspects.tolist()})
    stored: dict[bytes, bytes] = {}
    for some in parts(wanted, _LOOKUP):
        query = select(transactions.c.transaction_id, transactions.c.body_hash).where(
            transactions.c.transaction_id.in_(some)
        )
        stored.update((row[0].encode(), row[1]) for row in connection.execute(query))
    return [
        frame
        for frame in suspects.tolist()
        if stored[frames.ids[frame]] != frames.rows["body_hash"][frame].tobytes()
    ]
