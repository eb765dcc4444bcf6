"""A consumer of the cluster in memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tidegate.broker.memory.cluster import Cluster
from tidegate.broker.memory.group import Group
from tidegate.broker.ports import Assigned, Revoked
from tidegate.broker.records import Batch, Position, TopicPartition
from tidegate.errors import ConfigError, Retry


class MemoryConsumer:
    """Implements `tidegate.broker.ports.Consumer`. `poll` never waits."""

    def __init__(
        self, cluster: Cluster, group: Group | None, instance: str | None, *, watches: bool = False
    ) -> None:
        self._cluster, self.group, self._instance = cluster, group, instance
        self._watches = watches
        self._positions: dict[TopicPartition, int] = {}
        self._paused: set[TopicPartition] = set()
        self._seen: set[TopicPartition] = set()
        self._out_of_range: set[TopicPartition] = set()

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
        with self._cluster.call("poll"):
            if self.group is not None:
                self.group.poll(self)
            batches: list[Batch] = []
            for source in sorted(set(self._positions) - self._paused):
                if room := max_records - sum(map(len, batches)):
                    batches += self._read(source, room)
            return batches

    def _read(self, source: TopicPartition, room: int) -> list[Batch]:
        log, stable = self._cluster.logs[source], self._cluster.stable(source)
        offset = self._positions[source]
        values: list[bytes | None] = []
        batch = Batch(source, [], [], values, [], [])
        self._seen.add(source)
        if not self._cluster.start(source) <= offset <= len(log):
            if self.group is not None:
                self._out_of_range.add(source)
                return []
            offset = self._cluster.start(source)
        while offset < stable and len(batch) < room:
            record = log[offset]
            if record.readable:
                batch.offsets.append(offset)
                batch.keys.append(record.key)
                values.append(record.value)
                batch.timestamps.append(record.timestamp)
                batch.headers.append(record.headers)
            offset += 1
        self._positions[source] = offset
        return [batch] if len(batch) else []

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

    def out_of_range(self) -> set[TopicPartition]:
        found, self._out_of_range = self._out_of_range, set()
        return found.intersection(self._positions)

    def committed(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, Position]:
        if self.group is None:
            raise TypeError("a consumer without a group has no committed positions")
        with self._cluster.call("committed"):
            return self.group.committed(partitions, stable=not self._watches)

    def bounds(self, partition: TopicPartition) -> tuple[int, int]:
        with self._cluster.call("bounds"):
            return self._cluster.start(partition), self._cluster.stable(partition)

    def offset_at(self, partition: TopicPartition, time_ms: int) -> int:
        with self._cluster.call("offset_at"):
            start, stable = self._cluster.start(partition), self._cluster.stable(partition)
            records = self._cluster.logs[partition]
            stamped = (at for at in range(start, stable) if records[at].timestamp >= time_ms)
            return next(stamped, stable)

    def end(self, partition: TopicPartition) -> int | None:
        return len(self._cluster.logs[partition]) if partition in self._seen else None

    def partitions(self, topic: str) -> list[TopicPartition]:
        partitions = sorted(source for source in self._cluster.logs if source.topic == topic)
        if not partitions:
            raise ConfigError(f"there is no topic {topic!r}: run `tidegate topics apply`")
        return partitions

    def close(self) -> None:
        if self.group is not None:
            self.group.leave(self)
