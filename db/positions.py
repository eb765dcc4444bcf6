"""Table `offsets`: where each partition goes on, guarded against a second writer or another log."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlalchemy import Connection, Row, Table, Update, bindparam, select, update
from sqlalchemy.dialects import postgresql, sqlite

from db.tables import offsets
from tidegate.broker.addresses import address_of, index_of, offset_of, shown
from tidegate.broker.ports import Broker
from tidegate.broker.records import Position, TopicPartition
from tidegate.errors import Fenced, Retry, Stop


@dataclass(frozen=True, slots=True)
class Origin:
    """Which log the offsets count: a topic's id is new when it is deleted and made again."""

    topic: str
    cluster_id: str
    topic_id: str
    partitions: int


def origin_of(broker: Broker, topic: str) -> Origin:
    """The log that a topic is now. Raises Retry where there is no such topic."""
    ids = broker.topic_ids([topic])
    if topic not in ids:
        raise Retry(f"there is no topic {topic}: run `tidegate topics apply`")
    return Origin(topic, broker.cluster_id(), *ids[topic])


class Cursor:
    """Where one topic's partitions go on, for a sink that writes rows and positions together."""

    def __init__(self, broker: Broker, topic: str, table: Table = offsets) -> None:
        self._broker, self._topic, self._table = broker, topic, table
        self._origin: Origin | None = None
        self._next: dict[TopicPartition, int] = {}

    def identify(self) -> None:
        """Find out which log it is; to be called before any transaction. Raises Retry."""
        self._origin = origin_of(self._broker, self._topic)

    def load(
        self, connection: Connection, partitions: Sequence[TopicPartition]
    ) -> dict[TopicPartition, Position]:
        """The stored positions of these partitions. Raises Stop, see `load`."""
        stored = load(connection, self._identified(), partitions, self._table)
        for partition in partitions:
            self._next.pop(partition, None)
        self.committed(stored)
        return stored

    def advance(self, connection: Connection, after: Mapping[TopicPartition, Position]) -> None:
        """Move the partitions on, in the open transaction. Raises Fenced."""
        advance(connection, self._identified(), self._next, after, self._table)

    def committed(self, positions: Mapping[TopicPartition, Position]) -> None:
        """That transaction is committed: the next one goes on from there."""
        self._next.update({source: position.offset for source, position in positions.items()})

    def _identified(self) -> Origin:
        if self._origin is None:
            raise RuntimeError("a write before it was asked for positions")
        return self._origin


def load(
    connection: Connection,
    origin: Origin,
    sources: Sequence[TopicPartition],
    table: Table = offsets,
) -> dict[TopicPartition, Position]:
    """The stored positions of `sources`.

    Raises Stop when the topic's stored offsets count another log.
    """
    rows = connection.execute(select(table).where(table.c.topic == origin.topic)).all()
    for row in rows:
        _check(origin, Origin(row.topic, row.cluster_id, row.topic_id, row.partitions))
    stored = {TopicPartition(row.topic, row.partition): Position(address_in(row)) for row in rows}
    return {source: stored[source] for source in sources if source in stored}


def address_in(row: Row[Any]) -> int:
    """Where the partition of a row of the table goes on, as an address."""
    return address_of(row.topic, row.next_offset, row.next_index)


def _check(now: Origin, stored: Origin) -> None:
    differences = [
        f"{what} {before} there, {after} here"
        for what, before, after in (
            ("cluster", stored.cluster_id, now.cluster_id),
            ("topic id", stored.topic_id, now.topic_id),
            ("partitions", stored.partitions, now.partitions),
        )
        if before != after
    ]
    if differences:
        raise Stop(
            f"the offsets in the database count another {now.topic} ({'; '.join(differences)}), "
            "so going on would lose or repeat transactions: use the Kafka that this database "
            "belongs to, or a new database"
        )


def advance(
    connection: Connection,
    origin: Origin,
    before: Mapping[TopicPartition, int],
    after: Mapping[TopicPartition, Position],
    table: Table = offsets,
) -> None:
    """Move every partition of `after` from its address in `before` (none: the first write).

    Raises Fenced.
    """
    known = [source for source in sorted(after) if source in before]
    moves = [(source, before[source], after[source].offset) for source in known]
    moved = _move(connection, table, moves)
    for source in sorted(after.keys() - known):
        moved += _first(connection, table, origin, source, after[source].offset)
    if moved != len(after):
        partitions = ", ".join(f"{source.topic}-{source.partition}" for source in sorted(after))
        expected = ", ".join(shown(each.topic, before.get(each, 0)) for each in sorted(after))
        raise Fenced(
            f"{partitions}: not all are at the offsets {expected} in the database: another "
            "process writes them now"
        )


def _first(
    connection: Connection, table: Table, origin: Origin, source: TopicPartition, address: int
) -> int:
    insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    return connection.execute(
        insert(table)
        .values(
            topic=source.topic,
            partition=source.partition,
            next_offset=offset_of(source.topic, address),
            next_index=index_of(source.topic, address),
            cluster_id=origin.cluster_id,
            topic_id=origin.topic_id,
            partitions=origin.partitions,
        )
        .on_conflict_do_nothing(),
        execution_options={"preserve_rowcount": True},
    ).rowcount


def _move(
    connection: Connection, table: Table, moves: Sequence[tuple[TopicPartition, int, int]]
) -> int:
    """How many were at their offset and are moved, in one round trip."""
    if not moves:
        return 0
    return connection.execute(
        _statement(table),
        [
            {
                "in_topic": source.topic,
                "in_partition": source.partition,
                "before": offset_of(source.topic, before),
                "before_index": index_of(source.topic, before),
                "after": offset_of(source.topic, after),
                "after_index": index_of(source.topic, after),
            }
            for source, before, after in moves
        ],
    ).rowcount


@cache
def _statement(table: Table) -> Update:
    return (
        update(table)
        .where(
            table.c.topic == bindparam("in_topic"),
            table.c.partition == bindparam("in_partition"),
            table.c.next_offset == bindparam("before"),
            table.c.next_index == bindparam("before_index"),
        )
        .values(next_offset=bindparam("after"), next_index=bindparam("after_index"))
    )
