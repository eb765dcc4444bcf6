"""The ports to a log broker; `kafka` and `memory` implement them and pass one contract suite."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from tidegate.broker.records import Batch, Headers, Position, TopicPartition

Assigned = Callable[[list[TopicPartition]], Mapping[TopicPartition, int]]
"""Called with the partitions just assigned; answers with the offset to start each from. A partition
left out of the answer is assigned paused: seek and resume it when ready."""
Revoked = Callable[[list[TopicPartition]], None]
"""Called with the partitions taken away or lost."""
Delivered = Callable[[Exception | None], None]
"""Called once per record: None when the record is durable, else why it is not."""


class Consumer(Protocol):
    """Reads committed records only. Not thread-safe."""

    def subscribe(self, topic: str, on_assign: Assigned, on_revoke: Revoked) -> None:
        """Join the group. Callbacks run inside `poll`."""
        ...

    def assign(self, positions: Mapping[TopicPartition, int]) -> None:
        """Read these partitions from these offsets, without a group."""
        ...

    def poll(self, max_records: int, timeout: float, /) -> list[Batch]:
        """Up to `max_records` records by partition; waits up to `timeout` s for the first one."""
        ...

    def seek(self, partition: TopicPartition, offset: int) -> None: ...
    def pause(self, partitions: Sequence[TopicPartition]) -> None: ...
    def resume(self, partitions: Sequence[TopicPartition]) -> None: ...

    def position(self, partition: TopicPartition) -> int | None:
        """The offset to be read next, past aborted records and markers; None before the first."""
        ...

    def out_of_range(self) -> set[TopicPartition]:
        """Of a member of a group: partitions whose next offset the log does not have.

        Those found since the last call; they bring nothing until a seek.
        """
        ...

    def committed(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, Position]:
        """The group's committed positions; a partition without one is left out.

        Raises Retry while unstable.
        """
        ...

    def bounds(self, partition: TopicPartition) -> tuple[int, int]:
        """First offset kept and the offset after the last stable record."""
        ...

    def offset_at(self, partition: TopicPartition, time_ms: int) -> int:
        """Where to read from for the records from the first one that is stamped `time_ms` or later.

        Transactions' markers may lie before that. The log's end if there is none. Raises Retry.
        """
        ...

    def end(self, partition: TopicPartition) -> int | None:
        """The end of the log as the last poll saw it, without a request; None before the first."""
        ...

    def partitions(self, topic: str) -> list[TopicPartition]:
        """All partitions of a topic. Raises ConfigError when there is no such topic."""
        ...

    def close(self) -> None: ...


class TransactionalProducer(Protocol):
    """Kafka transactions (KIP-98, KIP-447).

    Every call may raise Aborted (go back and try again) or Fenced.
    """

    def begin(self) -> None: ...

    def produce(
        self,
        topic: str,
        keys: Sequence[bytes | None],
        values: Sequence[bytes | None],
        headers: Sequence[Headers | None] | None = None,
        partitions: Sequence[int] | None = None,
    ) -> None:
        """Send records, each to its partition, or where none are given to that of its key."""
        ...

    def touch(self, partitions: Sequence[TopicPartition]) -> None:
        """Write an empty record to each, for a transaction that is to be aborted.

        Its markers then end there whatever lies open of this producer's id.
        """
        ...

    def send_offsets(
        self, consumer: Consumer, positions: Mapping[TopicPartition, Position]
    ) -> None: ...

    def commit(self) -> None: ...
    def abort(self) -> None: ...
    def close(self) -> None: ...


class Producer(Protocol):
    """Idempotent, acks=all. Thread-safe."""

    def produce(
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        on_delivery: Delivered,
        headers: Headers | None = None,
    ) -> None:
        """Send one; `on_delivery` is called exactly once, later.

        Raises Retry when the local queue is full.
        """
        ...

    def produce_all(
        self,
        topic: str,
        records: Sequence[tuple[bytes | None, bytes | None]],
        on_delivery: Delivered,
    ) -> None:
        """Many (key, value) without headers, at half the cost of `produce` for each.

        `on_delivery` is called once per record.

        Raises Retry when the local queue is full; some of the records may be under way then.
        """
        ...

    def flush(self, timeout: float, /) -> int:
        """Wait for deliveries; returns how many records are still under way."""
        ...

    def close(self) -> None: ...


class Broker(Protocol):
    """Makes clients of one cluster."""

    def consumer(self, group: str | None, *, instance: str | None = None) -> Consumer:
        """`group` None: only `assign`. `instance`: static membership (KIP-345)."""
        ...

    def watcher(self, group: str) -> Consumer:
        """One that asks where a group is, from outside, and never joins it.

        It is told the positions that were committed last. A member is told nothing while a
        transaction is open that moves them on, which in a busy group is nearly always.
        """
        ...

    def follower(self) -> Consumer:
        """As `consumer(None)`, for one that waits at the end of a topic most of its life.

        It asks an idle topic once a second, not ten times; records that come are there as soon.
        """
        ...

    def transactional_producer(self, transactional_id: str) -> TransactionalProducer: ...
    def producer(self) -> Producer: ...

    def cluster_id(self) -> str: ...

    def topic_ids(self, topics: Sequence[str]) -> dict[str, tuple[str, int]]:
        """Each topic's id and its number of partitions; topics that do not exist are left out."""
        ...
