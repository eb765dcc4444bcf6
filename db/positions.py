"""Table `offsets`: where each partition goes on, guarded against a second writer and against another log."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, select, update
from sqlalchemy.dialects import postgresql, sqlite

from db.tables import offsets
from tidegate.errors import Fenced, Stop
from tidegate.stage import Position, TopicPartition


@dataclass(frozen=True, slots=True)
class Origin:
    """Which log the offsets count: a topic's id is new when it is deleted and made again."""

    topic: str
    cluster_id: str
    topic_id: str
    partitions: int


def load(connection: Connection, origin: Origin, sources: Sequence[TopicPartition]) -> dict[TopicPartition, Position]:
    """The stored positions of `sources`. Raises Stop when the topic's stored offsets count another log."""
    rows = connection.execute(select(offsets).where(offsets.c.topic == origin.topic)).all()
    for row in rows:
        _check(origin, Origin(row.topic, row.cluster_id, row.topic_id, row.partitions))
    stored = {TopicPartition(row.topic, row.partition): Position(row.next_offset) for row in rows}
    return {source: stored[source] for source in sources if source in stored}


def _check(now: Origin, stored: Origin) -> None:
    differences = [f"{what} {was} there, {is_} here" for what, was, is_ in (
        ("cluster", stored.cluster_id, now.cluster_id), ("topic id", stored.topic_id, now.topic_id),
        ("partitions", stored.partitions, now.partitions)) if was != is_]
    if differences:
        raise Stop(f"the offsets in the database count another {now.topic} ({'; '.join(differences)}), so going on "
                   "would lose or repeat transactions: use the Kafka that this database belongs to, or a new database")


def advance(connection: Connection, origin: Origin, before: Mapping[TopicPartition, int],
            after: Mapping[TopicPartition, Position]) -> None:
    """Move every partition of `after` from its offset in `before` (none: the first write). Raises Fenced."""
    for source in sorted(after):
        previous, offset = before.get(source), after[source].offset
        moved = _first(connection, origin, source, offset) if previous is None else _next(
            connection, source, previous, offset)
        if moved != 1:
            raise Fenced(f"{source.topic}-{source.partition} is no longer at offset {previous or 0} in the database: "
                         "another persist process writes it now")


def _first(connection: Connection, origin: Origin, source: TopicPartition, offset: int) -> int:
    make = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    return connection.execute(make(offsets).values(
        topic=source.topic, partition=source.partition, next_offset=offset, cluster_id=origin.cluster_id,
        topic_id=origin.topic_id, partitions=origin.partitions).on_conflict_do_nothing(),
        execution_options={"preserve_rowcount": True}).rowcount


def _next(connection: Connection, source: TopicPartition, previous: int, offset: int) -> int:
    at = (offsets.c.topic == source.topic) & (offsets.c.partition == source.partition)
    return connection.execute(update(offsets).where(at, offsets.c.next_offset == previous)
                              .values(next_offset=offset)).rowcount
