"""A consumer of committed records, by column."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from queue import Empty
from typing import cast

import confluent_kafka as ck
from confluent_kafka import KafkaError, KafkaException, Message

from tidegate.broker.kafka.config import consumer_error, error_of, is_fatal
from tidegate.broker.kafka.messages import batch_of, by_partition, without_events
from tidegate.broker.ports import Assigned, Revoked
from tidegate.broker.records import Batch, Position, TopicPartition
from tidegate.errors import ConfigError, Retry, TidegateError
from tidegate.worker import Worker

_log = logging.getLogger("tidegate.broker.kafka")

_TIMEOUT = 5.0
_FIRST_TRY = 1.0
_CLOSE_SECONDS = 10.0
_SHORTEST = 0.001
"""Less of a wait is none to librdkafka, which counts whole milliseconds: polling would spin."""
_RECORDS = {type(None)}
_SILENT_SECONDS, _SILENT_POLLS = 30.0, 100
"""How long an assigned partition may bring nothing, not even its end, and in how many polls: the
records of one may lie behind those of others, for a stage that takes long for each batch.
"""


class KafkaConsumer:
    """Implements `tidegate.broker.ports.Consumer`.

    librdkafka stays out of its group after a fatal error: the next poll raises Broken. One that has
    joined no group gets a new client when it cannot be asked: librdkafka 2.16 does not always find
    its broker again once that was away, however long it is back.

    A partition that was assigned and has brought nothing yet is neither paused, resumed nor sought:
    librdkafka 2.16 may then never begin to read it, and says nothing (its issue 2190). Before the
    next poll all are assigned anew instead, without those that are paused.
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
        self._positions: dict[TopicPartition, int] = {}
        self._assigned: set[TopicPartition] = set()
        self._paused: set[TopicPartition] = set()
        self._fetched: set[TopicPartition] = set()
        """Assigned in the client."""
        self._begun: set[TopicPartition] = set()
        """Those of them that have brought records, or their end, since."""
        self._anew = False
        """Whether the client's assignment is to be made anew before the next poll."""
        self._silent_from, self._polls = 0.0, 0
        self._out_of_range: set[TopicPartition] = set()
        self._generation = 0

    def _noted(self, error: KafkaError) -> None:
        """Called by librdkafka while somebody polls."""
        if self._note is not None:
            self._note(error)
        if is_fatal(error):
            self._fatal = error

    def subscribe(self, topic: str, on_assign: Assigned, on_revoke: Revoked) -> None:
        def assigned(client: ck.Consumer, raw: list[ck.TopicPartition]) -> None:
            partitions = [_plain(p) for p in raw]
            starts = on_assign(partitions)
            self._generation += 1
            self._assigned = set(partitions)
            self._positions = dict(starts)
            self._paused = self._assigned - starts.keys()
            self._assign_all(client)

        def revoked(client: ck.Consumer, raw: list[ck.TopicPartition]) -> None:
            self._generation += 1
            self._unpause(client)
            for known in (self._assigned, self._fetched, self._begun, self._paused):
                known.clear()
            self._positions.clear()
            on_revoke([_plain(p) for p in raw])

        self._joined = True
        self.client.subscribe([topic], on_assign=assigned, on_revoke=revoked, on_lost=revoked)

    def _assign_all(self, client: ck.Consumer) -> None:
        """Read every partition from its position, but those that are paused or have none.

        None of these can wait at the log's end: librdkafka 2.16 asks where that is, and an answer
        that comes after a seek takes the partition to the end, past all records in between.
        """
        self._unpause(client)
        self._fetched = (self._assigned & self._positions.keys()) - self._paused
        self._begun, self._anew = set(), False
        self._silent_from, self._polls = time.monotonic() + _SILENT_SECONDS, 0
        wanted = [ck.TopicPartition(*p, self._positions[p]) for p in sorted(self._fetched)]
        try:
            client.assign(wanted)
        except KafkaException as exception:
            raise _translate(exception, "assign") from exception

    def _unpause(self, client: ck.Consumer) -> None:
        """Before others are assigned: a client goes on pausing a partition that it gets again."""
        if held := self._begun & self._paused:
            client.resume([ck.TopicPartition(*p) for p in held])

    def _unanswered(self, exception: KafkaException, call: str) -> TidegateError:
        """What to raise when the cluster was asked in vain."""
        if not self._joined:
            _log.info("%s: %s; a new client takes this one's place", call, exception)
            _close(self.client)
            self.client = self._make(self._config)
            self._begun = set()
            if self._assigned:
                self._assign_all(self.client)
        return _translate(exception, call)

    def assign(self, positions: Mapping[TopicPartition, int]) -> None:
        self._unpause(self.client)
        self._assigned, self._positions = set(positions), dict(positions)
        self._paused.clear()
        self._assign_all(self.client)

    def poll(self, max_records: int, timeout: float) -> list[Batch]:
        deadline = time.monotonic() + timeout
        while True:
            batches = self._take(max_records, max(0.0, deadline - time.monotonic()))
            if batches or deadline - time.monotonic() < _SHORTEST:
                return batches

    def _take(self, max_records: int, timeout: float) -> list[Batch]:
        if self._anew:
            self._assign_all(self.client)
        self._look_for_silence()
        generation = self._generation
        # consume(n, t) would wait for the whole of t unless n records came.
        first = self.client.poll(timeout)
        if self._fatal is not None:
            raise consumer_error(self._fatal, "poll")
        if first is None:
            return []
        messages = [first, *self.client.consume(max_records - 1, 0)] if max_records > 1 else [first]
        ends: dict[TopicPartition, int] = {}
        errors = list(map(Message.error, messages))
        # comparing a KafkaError to None corrupts CPython's state
        if set(map(type, errors)) != _RECORDS:
            messages, ends, lost = without_events(messages, errors)
            self._out_of_range |= lost
            self._begun -= lost  # it cannot be sought: only a new assignment begins
        groups = by_partition(messages)
        if generation != self._generation:
            return self._drop(groups)
        batches = [batch_of(source, group) for source, group in groups.items()]
        for batch in batches:
            self._positions[batch.source] = batch.next_offset
        # beyond the last record lies the marker of its transaction
        for source, end in ends.items():
            self._positions[source] = max(end, self._positions.get(source, 0))
        self._begun.update(groups, ends)
        return batches

    def _look_for_silence(self) -> None:
        """Assign anew before the next poll when one has not begun, whatever the reason."""
        self._polls += 1
        if self._polls <= _SILENT_POLLS or len(self._begun) == len(self._fetched):
            return
        if time.monotonic() >= self._silent_from:
            silent = sorted(self._fetched - self._begun)
            _log.warning("assigning anew what brings nothing, not even its end: %s", silent)
            self._anew = True

    def _drop(self, groups: Mapping[TopicPartition, list[Message]]) -> list[Batch]:
        """A rebalance came between the records: forget them, and read again what is still ours."""
        for source in groups:
            if source in self._assigned and source in self._positions:
                self.seek(source, self._positions[source])
        return []

    def seek(self, partition: TopicPartition, offset: int) -> None:
        self._positions[partition] = offset
        if partition not in self._begun:
            self._anew = self._anew or partition not in self._paused or partition in self._fetched
            return
        try:
            self.client.seek(ck.TopicPartition(*partition, offset))
        except KafkaException as exception:
            _log.info("seek of %s/%d: %s; assigning anew", *partition, exception)
            self._anew = True

    def pause(self, partitions: Sequence[TopicPartition]) -> None:
        self._paused.update(partitions)
        if begun := self._begun.intersection(partitions):
            self.client.pause([ck.TopicPartition(*p) for p in begun])
        if (self._fetched - self._begun).intersection(partitions):
            self._anew = True

    def resume(self, partitions: Sequence[TopicPartition]) -> None:
        self._paused.difference_update(partitions)
        if begun := self._begun.intersection(partitions):
            self.client.resume([ck.TopicPartition(*p) for p in begun])
        if (self._positions.keys() - self._fetched).intersection(partitions):
            self._anew = True

    def position(self, partition: TopicPartition) -> int | None:
        return self._positions.get(partition)

    def out_of_range(self) -> set[TopicPartition]:
        found, self._out_of_range = self._out_of_range, set()
        return found & self._assigned if found else found

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


def _translate(exception: KafkaException, call: str) -> TidegateError:
    error = error_of(exception)
    return Retry(f"{call}: {exception}") if error is None else consumer_error(error, call)
