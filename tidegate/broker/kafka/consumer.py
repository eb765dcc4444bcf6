"""A consumer of committed records, by column."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from queue import Empty
from typing import cast

import confluent_kafka as ck
from confluent_kafka import KafkaError, KafkaException, Message

from tidegate.broker.kafka.config import consumer_error, is_fatal, raised_by_consumer
from tidegate.broker.kafka.fetching import Fetching
from tidegate.broker.kafka.messages import batch_of, by_partition, without_events
from tidegate.broker.ports import Assigned, Revoked
from tidegate.broker.records import Batch, Position, TopicPartition
from tidegate.errors import ConfigError, TidegateError
from tidegate.worker import Worker

_log = logging.getLogger("tidegate.broker.kafka")

_TIMEOUT = 5.0
_FIRST_TRY = 1.0
_CLOSE_SECONDS = 10.0
_SHORTEST = 0.001
"""Less of a wait is none to librdkafka, which counts whole milliseconds: polling would spin."""
_RECORDS = {type(None)}


class KafkaConsumer:
    """Implements `tidegate.broker.ports.Consumer`.

    librdkafka stays out of its group after a fatal error: the next poll raises Broken. One that has
    joined no group gets a new client when it cannot be asked: librdkafka 2.16 does not always find
    its broker again once that was away, however long it is back.
    """

    def __init__(
        self,
        config: dict[str, object],
        make: Callable[[dict[str, object]], ck.Consumer] = ck.Consumer,
    ) -> None:
        self._note = cast("Callable[[KafkaError], None] | None", config.get("error_cb"))
        self._fatal: KafkaError | None = None
        self._config, self._make = {**config, "error_cb": self._noted}, make
        self.client = make(self._config)
        self._joined = False
        self._fetching = Fetching(self.client)
        self._out_of_range: set[TopicPartition] = set()
        self._generation = 0

    def _noted(self, error: KafkaError) -> None:
        """Called by librdkafka while somebody polls."""
        if self._note is not None:
            self._note(error)
        if is_fatal(error):
            self._fatal = error

    def subscribe(self, topic: str, on_assign: Assigned, on_revoke: Revoked) -> None:
        def assigned(_: ck.Consumer, raw: list[ck.TopicPartition]) -> None:
            partitions = [_plain(p) for p in raw]
            starts = on_assign(partitions)
            self._generation += 1
            self._fetching.assign(partitions, starts)

        def revoked(_: ck.Consumer, raw: list[ck.TopicPartition]) -> None:
            self._generation += 1
            self._fetching.revoke()
            on_revoke([_plain(p) for p in raw])

        self._joined = True
        self.client.subscribe([topic], on_assign=assigned, on_revoke=revoked, on_lost=revoked)

    def _unanswered(self, exception: KafkaException, call: str) -> TidegateError:
        """What to raise when the cluster was asked in vain."""
        if not self._joined:
            _log.info("%s: %s; a new client takes this one's place", call, exception)
            _close(self.client)
            self.client = self._make(self._config)
            self._fetching.move_to(self.client)
        return raised_by_consumer(exception, call)

    def assign(self, positions: Mapping[TopicPartition, int]) -> None:
        self._fetching.assign(positions, positions)

    def poll(self, max_records: int, timeout: float) -> list[Batch]:
        deadline = time.monotonic() + timeout
        while True:
            batches = self._take(max_records, max(0.0, deadline - time.monotonic()))
            if batches or deadline - time.monotonic() < _SHORTEST:
                return batches

    def _take(self, max_records: int, timeout: float) -> list[Batch]:
        self._fetching.before_poll()
        generation = self._generation
        # consume(n, t) would wait for the whole of t unless n records came.
        first = self.client.poll(timeout)
        if self._fatal is not None:
            raise consumer_error(self._fatal, "poll")
        if first is None:
            return []
        messages = [first, *self.client.consume(max_records - 1, 0)] if max_records > 1 else [first]
        ends: dict[TopicPartition, int] = {}
        lost: set[TopicPartition] = set()
        errors = list(map(Message.error, messages))
        # comparing a KafkaError to None corrupts CPython's state
        if set(map(type, errors)) != _RECORDS:
            try:
                messages, ends, lost = without_events(messages, errors)
            except TidegateError:
                self._fetching.read_again()
                raise
            self._out_of_range |= lost
        groups = by_partition(messages)
        if generation != self._generation:  # a rebalance came between the records
            self._fetching.read_again()
            return []
        batches = [batch_of(source, group) for source, group in groups.items()]
        self._fetching.took({batch.source: batch.next_offset for batch in batches}, ends, lost)
        return batches

    def seek(self, partition: TopicPartition, offset: int) -> None:
        self._fetching.seek(partition, offset)

    def pause(self, partitions: Sequence[TopicPartition]) -> None:
        self._fetching.pause(partitions)

    def resume(self, partitions: Sequence[TopicPartition]) -> None:
        self._fetching.resume(partitions)

    def position(self, partition: TopicPartition) -> int | None:
        return self._fetching.positions.get(partition)

    def out_of_range(self) -> set[TopicPartition]:
        found, self._out_of_range = self._out_of_range, set()
        return found & self._fetching.assigned if found else found

    def committed(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, Position]:
        try:
            answers = self.client.committed([ck.TopicPartition(*p) for p in partitions], _TIMEOUT)
        except KafkaException as exception:
            raise self._unanswered(exception, "committed") from exception
        for answer in answers:
            if answer.error is not None:
                raise consumer_error(answer.error, "committed")
        return {_plain(a): Position(a.offset, a.metadata or "") for a in answers if a.offset >= 0}

    def bounds(self, partition: TopicPartition) -> tuple[int, int]:
        """All partitions of the topic.

        The client asks the leader that it remembers, which may be gone: so a failure makes it look
        again, once.
        """
        asked = ck.TopicPartition(*partition)
        try:
            return self.client.get_watermark_offsets(asked, _FIRST_TRY)
        except KafkaException as exception:
            _log.info("bounds of %s/%d: %s; looking for its leader again", *partition, exception)
        try:
            self.client.list_topics(partition.topic, _TIMEOUT)
            return self.client.get_watermark_offsets(asked, _TIMEOUT)
        except KafkaException as exception:
            raise self._unanswered(exception, "bounds") from exception

    def offset_at(self, partition: TopicPartition, time_ms: int) -> int:
        asked = ck.TopicPartition(*partition, time_ms)
        try:
            (answer,) = self.client.offsets_for_times([asked], _TIMEOUT)
        except KafkaException as exception:
            raise self._unanswered(exception, "offsets_for_times") from exception
        if answer.error is not None:
            raise consumer_error(answer.error, "offsets_for_times")
        return answer.offset if answer.offset >= 0 else self.bounds(partition)[1]

    def end(self, partition: TopicPartition) -> int | None:
        high = self.client.get_watermark_offsets(ck.TopicPartition(*partition), cached=True)[1]
        return high if high >= 0 else None

    def partitions(self, topic: str) -> list[TopicPartition]:
        try:
            metadata = self.client.list_topics(topic, _TIMEOUT).topics[topic]
        except KafkaException as exception:
            raise self._unanswered(exception, "partitions") from exception
        if metadata.error is not None and metadata.error.code() != KafkaError.UNKNOWN_TOPIC_OR_PART:
            raise consumer_error(metadata.error, "partitions")
        if metadata.error is not None or not metadata.partitions:
            raise ConfigError(f"there is no topic {topic!r}: run `tidegate topics apply`")
        return [TopicPartition(topic, number) for number in sorted(metadata.partitions)]

    def close(self) -> None:
        """Leave the group; a client that does not come back from that is left behind."""
        if outcome := _close(self.client):
            raise outcome


def _close(client: ck.Consumer) -> Exception | None:
    """Close a client, or leave it behind when it does not come back from that."""
    worker = Worker[None]("kafka-close")
    worker.start(client.close)
    worker.close()
    try:
        return worker.outcome(_CLOSE_SECONDS)
    except Empty:
        _log.error("a consumer did not close within %.0f s", _CLOSE_SECONDS)
        return None


def _plain(partition: ck.TopicPartition) -> TopicPartition:
    return TopicPartition(partition.topic, partition.partition)
