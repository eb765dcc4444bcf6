"""Where a stage's outputs go, together with the positions they come from: both or neither."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Sequence
from typing import Protocol

from tidegate.broker.ports import Broker, Consumer, TransactionalProducer
from tidegate.broker.records import Batch, Position, TopicPartition
from tidegate.errors import Aborted, Retry
from tidegate.pipeline import STAGES
from tidegate.stream.block_writer import BlockWriter
from tidegate.stream.dead_letters import dead_letters
from tidegate.stream.stage import Emit, Output, Reject

Letters = Callable[[Batch, Sequence[Reject]], tuple[Batch, Sequence[Reject]]]
_LOG = logging.getLogger(__name__)
_HANGING_SECONDS = 15.0
"""Longer than any transaction may stay open: 10 s, and what the broker takes to look."""


class Sink(Protocol):
    """One atomic write of outputs and positions."""

    def settle(self) -> None:
        """End what an earlier write left open, of this process or of the one before it.

        Called at every turn, also while nothing is assigned: what is open holds up others. Costs
        nothing when there is nothing to end. Raises Retry.
        """
        ...

    def positions(self, partitions: list[TopicPartition]) -> dict[TopicPartition, Position]:
        """The position each partition goes on from; a partition never written is left out.

        May raise Retry, Stop.
        """
        ...

    def write(
        self,
        results: list[tuple[Batch, Output]],
        positions: dict[TopicPartition, Position],
    ) -> None:
        """Write all or nothing.

        Raises Retry or Aborted (ask `positions` what happened) or Fenced (write no more).
        """
        ...

    def close(self) -> None: ...


class KafkaSink:
    """Emits, dead letters and positions in one Kafka transaction.

    The transactional id is stable for stage and instance: a second process with the same pair
    fences this one. `consumer` is the member of the group whose positions are committed; `profile`
    is the profile's hash, for the dead letters; `clock` gives us, `monotonic` s. `letters`
    says what dead letters may show of a batch and of its rejects: all of it where there is none.
    """

    def __init__(
        self,
        broker: Broker,
        consumer: Consumer,
        stage: str,
        *,
        instance: str,
        profile: bytes,
        clock: Callable[[], int],
        monotonic: Callable[[], float] = time.monotonic,
        letters: Letters | None = None,
    ) -> None:
        self._broker, self._consumer = broker, consumer
        self._stage, self._profile, self._letters = stage, profile, letters
        self._clock, self._monotonic = clock, monotonic
        self._id = f"tidegate.{stage}.{instance}"
        self._producer: TransactionalProducer | None = None
        self._blocks = BlockWriter(broker)
        self._in_vain_since = self._in_vain_last = -math.inf

    def settle(self) -> None:
        """A new producer ends the open transaction of the one before it."""
        self._ready()

    def positions(self, partitions: list[TopicPartition]) -> dict[TopicPartition, Position]:
        """The group's positions, once an earlier process's open transaction has ended."""
        producer = self._ready()
        try:
            found = self._consumer.committed(partitions)
        except Retry:
            self._in_vain(producer, partitions)
            raise
        self._in_vain_last = -math.inf
        return found

    def _in_vain(self, producer: TransactionalProducer, partitions: list[TopicPartition]) -> None:
        """No positions are told for long: end what hangs in the group, if it is of this id.

        A broker that stops or dies within a commit may forget its markers and call the transaction
        complete (Kafka 4.3). An abort of this id ends it, in the group and in every partition that
        this stage writes to: what hangs there would be committed with the next batch, beside what
        comes again.
        """
        now = self._monotonic()
        if now - self._in_vain_last > _HANGING_SECONDS:
            self._in_vain_since = now
        self._in_vain_last = now
        if now - self._in_vain_since < _HANGING_SECONDS:
            return
        _LOG.warning("stage %s: no positions for long; ending what may hang", self._stage)
        outputs, rebuild = self._outputs(), False
        try:
            producer.begin()
            producer.touch(outputs)
            producer.send_offsets(self._consumer, {partitions[0]: Position(0)})
        except Aborted as error:
            rebuild = error.rebuild
        self._give_up(producer, rebuild=rebuild)

    def _outputs(self) -> list[TopicPartition]:
        """All partitions that this stage may have written to. Raises Retry."""
        topics = STAGES[self._stage].outputs if self._stage in STAGES else ()
        return [
            TopicPartition(topic, number)
            for topic, (_, count) in self._broker.topic_ids(topics).items()
            for number in range(count)
        ]

    def write(
        self,
        results: list[tuple[Batch, Output]],
        positions: dict[TopicPartition, Position],
    ) -> None:
        producer = self._ready()
        emits = [emit for _, output in results for emit in output.emits]
        emits += [self._dead_letters(batch, out.rejects) for batch, out in results if out.rejects]
        try:
            producer.begin()
            self._blocks.write(producer, emits)
            producer.send_offsets(self._consumer, positions)
            producer.commit()
        except Aborted as error:
            self._give_up(producer, rebuild=error.rebuild)
            raise

    def _dead_letters(self, batch: Batch, rejects: Sequence[Reject]) -> Emit:
        if self._letters is not None:
            batch, rejects = self._letters(batch, rejects)
        return dead_letters(self._stage, self._profile, batch, rejects, self._clock())

    def close(self) -> None:
        if self._producer is not None:
            self._producer.close()
            self._producer = None

    def _ready(self) -> TransactionalProducer:
        if self._producer is None:
            self._producer = self._broker.transactional_producer(self._id)
        return self._producer

    def _give_up(self, producer: TransactionalProducer, *, rebuild: bool) -> None:
        if not rebuild:
            try:
                producer.abort()
            except Aborted as error:
                rebuild = True
                _LOG.warning("the abort failed too: %s", error)
        if rebuild:
            self.close()
