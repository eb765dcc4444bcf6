"""Producers of the cluster in memory: one in transactions, one whose deliveries come at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from tidegate.broker.blocks import inner_of
from tidegate.broker.memory.cluster import Cluster
from tidegate.broker.memory.consumer import MemoryConsumer
from tidegate.broker.ports import Consumer, Delivered
from tidegate.broker.records import Headers, Position, TopicPartition


class MemoryTransactions:
    """Implements `tidegate.broker.ports.TransactionalProducer`."""

    def __init__(self, cluster: Cluster, transactional_id: str, epoch: int) -> None:
        self._cluster, self._id, self._epoch = cluster, transactional_id, epoch

    @contextmanager
    def _call(self, name: str) -> Iterator[None]:
        with self._cluster.call(name):
            self._cluster.check(self._id, self._epoch)
            yield

    def begin(self) -> None:
        with self._call("begin"):
            self._cluster.open(self._id)

    def produce(
        self,
        topic: str,
        keys: Sequence[bytes | None],
        values: Sequence[bytes | None],
        headers: Sequence[Headers | None] | None = None,
        partitions: Sequence[int] | None = None,
    ) -> None:
        with self._call("produce"):
            transaction = self._cluster.open(self._id)
            extras = headers or [None] * len(keys)
            if partitions is None:
                for key, value, extra in zip(keys, values, extras, strict=True):
                    self._cluster.append(topic, key, value, extra, transaction)
                return
            for key, value, extra, at in zip(keys, values, extras, partitions, strict=True):
                source = TopicPartition(topic, at)
                self._cluster.append_to(source, key, value, extra, transaction)

    def touch(self, partitions: Sequence[TopicPartition]) -> None:
        with self._call("touch"):
            for source in partitions:
                self._cluster.append_to(source, None, b"", None, self._cluster.open(self._id))

    def send_offsets(
        self, consumer: Consumer, positions: Mapping[TopicPartition, Position]
    ) -> None:
        consumer, positions = inner_of(consumer, positions)
        if not isinstance(consumer, MemoryConsumer) or consumer.group is None:
            raise TypeError(
                "offsets of a member of a group in memory travel in a transaction in memory"
            )
        with self._call("send_offsets"):
            transaction = self._cluster.open(self._id)
            consumer.group.promise(consumer, transaction, positions)
            transaction.offsets.append((consumer.group, dict(positions)))

    def commit(self) -> None:
        with self._call("commit"):
            self._cluster.close_transaction(self._id, "committed")

    def abort(self) -> None:
        with self._call("abort"):
            self._cluster.close_transaction(self._id, "aborted")

    def close(self) -> None:
        """Leaves an open transaction open, as a process that dies does."""


class MemoryProducer:
    """Implements `tidegate.broker.ports.Producer`; deliveries are reported at once."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    def produce(
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        on_delivery: Delivered,
        headers: Headers | None = None,
    ) -> None:
        with self._cluster.call("producer.produce"):
            self._cluster.append(topic, key, value, headers, None)
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
