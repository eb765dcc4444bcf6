"""What a cluster in memory holds: topics, logs, groups and open transactions."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from tidegate.broker.memory.group import Group
from tidegate.broker.memory.log import Record, Transaction
from tidegate.broker.murmur2 import partition_of
from tidegate.broker.records import Headers, TopicPartition
from tidegate.errors import ConfigError, Fenced

Hook = Callable[[str, bool], None]


class Cluster:
    """The state that all clients share. `hook` is called around every I/O call."""

    def __init__(self, topics: Mapping[str, int], time_ms: int = 0) -> None:
        self.hook: Hook = lambda _name, _done: None
        self._topics: dict[str, int] = {}
        self.logs: dict[TopicPartition, list[Record]] = {}
        self.starts: dict[TopicPartition, int] = {}
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
            if record.readable and offset >= self.start(source)
        ]

    def expire(self, source: TopicPartition, before: int) -> None:
        """Retention: the records before an offset are gone."""
        self.starts[source] = before

    def cut(self, source: TopicPartition, end: int) -> None:
        """The broker lost the end of its log."""
        del self.logs[source][end:]

    def start(self, source: TopicPartition) -> int:
        """The first offset that the log still has."""
        return self.starts.get(source, 0)

    def expire_members(self) -> None:
        """Every member of every group is dead or cut off, and its session runs out."""
        for group in self.groups.values():
            group.expire()

    def time_out_transactions(self) -> None:
        """Abort what is open, as after transaction.timeout.ms, and fence its producers."""
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
        source = TopicPartition(topic, partition_of(key or b"", self._topics[topic]))
        self.append_to(source, key, value, headers, transaction)

    def append_to(
        self,
        source: TopicPartition,
        key: bytes | None,
        value: bytes | None,
        headers: Headers | None,
        transaction: Transaction | None,
    ) -> None:
        """Add one record to this partition."""
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
        """The offset of the first record of an open transaction, or the log's end."""
        log = self.logs[source]
        opened = (
            offset
            for offset, record in enumerate(log)
            if record.transaction and record.transaction.state == "open"
        )
        return next(opened, len(log)) if self._open else len(log)

    def init_producer(self, transactional_id: str) -> int:
        """The epoch of a new producer with this id; what an older one left open is aborted."""
        epoch = self._epochs[transactional_id] = self._epochs.get(transactional_id, -1) + 1
        if transactional_id in self._open:
            self.end(self._open.pop(transactional_id), "aborted")
        return epoch

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
