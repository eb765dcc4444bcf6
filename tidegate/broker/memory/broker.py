"""A broker in memory, for tests of everything above it: transactions, fencing, eager rebalances,
injected faults.

It behaves as Kafka does in what the contract suite (tests/broker) asserts, and in no more.
Single-threaded and deterministic: nothing happens between two calls. Set `hook` to be called with
the name of every call and False before it, True after it; a hook that raises makes the call fail
undone, or done but unknown.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from tidegate.broker.memory.group import Group
from tidegate.broker.memory.log import Record, Transaction
from tidegate.broker.ports import Assigned, Consumer, Delivered, Revoked
from tidegate.broker.records import Batch, Headers, Position, TopicPartition
from tidegate.errors import ConfigError, Fenced, Retry

Hook = Callable[[str, bool], None]


class MemoryBroker:
    """Implements `tidegate.broker.ports.Broker`."""

    def __init__(self, topics: Mapping[str, int], time_ms: int = 0) -> None:
        self.hook: Hook = lambda _name, _done: None
        self._topics: dict[str, int] = {}
        self.logs: dict[TopicPartition, list[Record]] = {}
        self.groups: dict[str, Group] = {}
        self._epochs: dict[str, int] = {}
        self._open: dict[str, Transaction] = {}
        self._time = time_ms
        for topic, partitions in topics.items():
            self.create(topic, partitions)

    def create(self, topic: str, partitions: int) -> None:
        """Add an empty topic."""
        self._topics[topic] = partitions
        self.logs |= {TopicPartition(topic, number): [] for number in range(partitions)}

    def consumer(self, group: str | None, *, instance: str | None = None) -> MemoryConsumer:
        return MemoryConsumer(
            self, self.groups.setdefault(group, Group()) if group else None, instance
        )

    def transactional_producer(self, transactional_id: str) -> MemoryTransactions:
        with self.call("init_transactions"):
            self._epochs[transactional_id] = self._epochs.get(transactional_id, -1) + 1
            if transactional_id in self._open:
                self.end(self._open.pop(transactional_id), "aborted")
            return MemoryTransactions(self, transactional_id, self._epochs[transactional_id])

    def producer(self) -> MemoryProducer:
        return MemoryProducer(self)

    def cluster_id(self) -> str:
        return "memory"

    def topic_ids(self, topics: Sequence[str]) -> dict[str, tuple[str, int]]:
        return {
            topic: (f"id-of-{topic}", self._topics[topic])
            for topic in topics
            if topic in self._topics
        }

    def committed_records(self, topic: str) -> list[tuple[TopicPartition, int, Record]]:
        """All that a reader of committed records would see, by partition, with the offsets."""
        return [
            (source, offset, record)
            for source in sorted(self.logs)
            if source.topic == topic
            for offset, record in enumerate(self.logs[source][: self.stable(source)])
            if record.readable
        ]

    def expire_members(self) -> None:
        """Every member of every group is dead or cut off, and its session runs out."""
        for group in self.groups.values():
            group.expire()

    def time_out_transactions(self) -> None:
        """The coordinator aborts what is open, as after transaction.timeout.ms; its producers are
        fenced.
        """
        for transactional_id, transaction in self._open.items():
            self._epochs[transactional_id] += 1
            self.end(transaction, "aborted")
        self._open.clear()

    def append(
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        headers: Headers | None,
        transaction: Transaction | None,
    ) -> None:
        """Add one record to the partition of its key."""
        if topic not in self._topics:
            raise ConfigError(f"there is no topic {topic!r}")
        source = TopicPartition(topic, zlib.crc32(key or b"") % self._topics[topic])
        self._time += 1
        self.logs[source].append(Record(key, value, headers, self._time, transaction))
        if transaction is not None:
            transaction.touched.add(source)

    def end(self, transaction: Transaction, state: str) -> None:
        """Commit or abort: markers in every log touched, and the offsets when it is a commit."""
        transaction.state = state
        for source in transaction.touched:
            self.logs[source].append(Record(None, None, None, self._time, marker=True))
        for group, positions in transaction.offsets:
            group.settle(transaction, positions if state == "committed" else {})

    def stable(self, source: TopicPartition) -> int:
        """The last stable offset: that of the first record of an open transaction, or the log's
        end.
        """
        log = self.logs[source]
        opened = (
            at
            for at, record in enumerate(log)
            if record.transaction and record.transaction.state == "open"
        )
        return next(opened, len(log)) if self._open else len(log)

    def check(self, transactional_id: str, epoch: int) -> None:
        """Raises Fenced when a newer producer has this id."""
        if self._epochs[transactional_id] != epoch:
            raise Fenced(f"{transactional_id}: a newer producer took over")

    def open(self, transactional_id: str) -> Transaction:
        """The open transaction; made on the first call."""
        return self._open.setdefault(transactional_id, Transaction())

    def close_transaction(self, transactional_id: str, state: str) -> None:
        """End the open transaction of this id."""
        self.end(self._open.pop(transactional_id), state)

    @contextmanager
    def call(self, name: str) -> Iterator[None]:
        """One I/O call, with the hook around it."""
        self.hook(name, False)
        yield
        self.hook(name, True)


class MemoryTransactions:
    """Implements `tidegate.broker.ports.TransactionalProducer`."""

    def __init__(self, broker: MemoryBroker, transactional_id: str, epoch: int) -> None:
        self._broker, self._id, self._epoch = broker, transactional_id, epoch

    @contextmanager
    def _call(self, name: str) -> Iterator[None]:
        with self._broker.call(name):
            self._broker.check(self._id, self._epoch)
            yield

    def begin(self) -> None:
        with self._call("begin"):
            self._broker.open(self._id)

    def produce(
        self,
        topic: str,
        keys: Sequence[bytes | None],
        values: Sequence[bytes | None],
        headers: Sequence[Headers | None] | None = None,
    ) -> None:
        with self._call("produce"):
            for key, value, extra in zip(keys, values, headers or [None] * len(keys), strict=True):
                self._broker.append(topic, key, value, extra, self._broker.open(self._id))

    def send_offsets(
        self, consumer: Consumer, positions: Mapping[TopicPartition, Position]
    ) -> None:
        if not isinstance(consumer, MemoryConsumer) or consumer.group is None:
            raise TypeError(
                "offsets of a member of a group in memory travel in a transaction in memory"
            )
        with self._call("send_offsets"):
            transaction = self._broker.open(self._id)
            consumer.group.promise(consumer, transaction, positions)
            transaction.offsets.append((consumer.group, dict(positions)))

    def commit(self) -> None:
        with self._call("commit"):
            self._broker.close_transaction(self._id, "committed")

    def abort(self) -> None:
        with self._call("abort"):
            self._broker.close_transaction(self._id, "aborted")

    def close(self) -> None:
        """Leaves an open transaction open, as a process that dies does."""


class MemoryProducer:
    """Implements `tidegate.broker.ports.Producer`; deliveries are reported at once."""

    def __init__(self, broker: MemoryBroker) -> None:
        self._broker = broker

    def produce(
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        on_delivery: Delivered,
        headers: Headers | None = None,
    ) -> None:
        with self._broker.call("producer.produce"):
            self._broker.append(topic, key, value, headers, None)
        on_delivery(None)

    def produce_all(
        self,
        topic: str,
        records: Sequence[tuple[bytes | None, bytes | None]],
        on_delivery: Delivered,
    ) -> None:
        for key, value in records:
            self.produce(topic, key, value, on_delivery)

    def flush(self, _timeout: float) -> int:
        return 0

    def close(self) -> None:
        """Nothing is under way."""


class MemoryConsumer:
    """Implements `tidegate.broker.ports.Consumer`. `poll` never waits."""

    def __init__(self, broker: MemoryBroker, group: Group | None, instance: str | None) -> None:
        self._broker, self.group, self._instance = broker, group, instance
        self._positions: dict[TopicPartition, int] = {}
        self._paused: set[TopicPartition] = set()
        self._seen: set[TopicPartition] = set()

    def subscribe(self, topic: str, on_assign: Assigned, on_revoke: Revoked) -> None:
        if self.group is None:
            raise TypeError("a consumer without a group cannot subscribe")

        def assigned(sources: list[TopicPartition]) -> None:
            starts = on_assign(sources)
            self.assign({source: starts.get(source, 0) for source in sources})
            self._paused = {source for source in sources if source not in starts}

        def revoked(sources: list[TopicPartition]) -> None:
            self.assign({})
            on_revoke(sources)

        self.group.subscribe(self, self._instance, self.partitions(topic), assigned, revoked)

    def assign(self, positions: Mapping[TopicPartition, int]) -> None:
        self._positions, self._paused, self._seen = dict(positions), set(), set()

    def poll(self, max_records: int, _timeout: float) -> list[Batch]:
        with self._broker.call("poll"):
            if self.group is not None:
                self.group.poll(self)
            batches: list[Batch] = []
            for source in sorted(set(self._positions) - self._paused):
                if room := max_records - sum(map(len, batches)):
                    batches += self._read(source, room)
            return batches

    def _read(self, source: TopicPartition, room: int) -> list[Batch]:
        log, at, stable, batch = (
            self._broker.logs[source],
            self._positions[source],
            self._broker.stable(source),
            None,
        )
        self._seen.add(source)
        while at < stable and (batch is None or len(batch) < room):
            record = log[at]
            if record.readable:
                batch = batch or Batch(source, [], [], [], [], [])
                batch.offsets.append(at)
                batch.keys.append(record.key)
                batch.values.append(record.value)
                batch.timestamps.append(record.timestamp)
                batch.headers.append(record.headers)
            at += 1
        self._positions[source] = at
        return [batch] if batch is not None else []

    def seek(self, partition: TopicPartition, offset: int) -> None:
        if partition not in self._positions:
            raise Retry(f"{partition} is not assigned")
        self._positions[partition] = offset

    def pause(self, partitions: Sequence[TopicPartition]) -> None:
        self._paused |= set(partitions).intersection(self._positions)

    def resume(self, partitions: Sequence[TopicPartition]) -> None:
        self._paused -= set(partitions)

    def position(self, partition: TopicPartition) -> int | None:
        return self._positions.get(partition)

    def committed(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, Position]:
        if self.group is None:
            raise TypeError("a consumer without a group has no committed positions")
        with self._broker.call("committed"):
            return self.group.committed(partitions)

    def bounds(self, partition: TopicPartition) -> tuple[int, int]:
        with self._broker.call("bounds"):
            return 0, self._broker.stable(partition)

    def end(self, partition: TopicPartition) -> int | None:
        return len(self._broker.logs[partition]) if partition in self._seen else None

    def partitions(self, topic: str) -> list[TopicPartition]:
        found = sorted(source for source in self._broker.logs if source.topic == topic)
        if not found:
            raise ConfigError(f"there is no topic {topic!r}: run `tidegate topics apply`")
        return found

    def close(self) -> None:
        if self.group is not None:
            self.group.leave(self)
