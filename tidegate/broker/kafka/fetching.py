"""What a client of librdkafka fetches, from where, and what of it is paused."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Iterable, Mapping

import confluent_kafka as ck
from confluent_kafka import KafkaException

from tidegate.broker.kafka.config import raised_by_consumer
from tidegate.broker.records import TopicPartition
from tidegate.errors import Retry

_log = logging.getLogger("tidegate.broker.kafka")

_PATIENCE = 90.0
"""Seconds in which a partition has to bring something, longer than any request may take."""
_NEVER = math.inf


class Fetching:
    """The partitions of one consumer, with positions; its client fetches those that are not paused.

    One that was assigned and has brought nothing yet is neither paused, resumed nor sought in the
    client: librdkafka 2.16 may then never begin to fetch it, and says nothing (its issue 2190).
    Before the next poll all are assigned anew instead.
    """

    def __init__(self, client: ck.Consumer) -> None:
        self._client = client
        self.assigned: set[TopicPartition] = set()
        self.positions: dict[TopicPartition, int] = {}
        self._paused: set[TopicPartition] = set()
        self._fetched: set[TopicPartition] = set()
        """Assigned in the client."""
        self._begun: set[TopicPartition] = set()
        """Those of them that have brought records, or their end, since."""
        self._halted: set[TopicPartition] = set()
        """Paused in the client, which remembers that whatever is assigned after it."""
        self._anew = False
        self._patience, self._silent_from = _PATIENCE, _NEVER

    def assign(
        self, assigned: Iterable[TopicPartition], positions: Mapping[TopicPartition, int]
    ) -> None:
        """All are assigned; those without a position are paused. Raises Retry, Broken."""
        self.assigned, self.positions = set(assigned), dict(positions)
        self._paused = self.assigned - self.positions.keys()
        self._patience = _PATIENCE
        self._assign()

    def revoke(self) -> None:
        """Nothing is assigned any more; the client knows that itself."""
        self._lift_pauses()
        self.assigned, self.positions, self._paused = set(), {}, set()
        self._fetched, self._begun, self._anew = set(), set(), False

    def move_to(self, client: ck.Consumer) -> None:
        """A new client takes the place of one that was closed, and goes on where that was."""
        self._client = client
        self._fetched, self._begun, self._halted = set(), set(), set()
        self._anew = bool(self.assigned)

    def _assign(self) -> None:
        """Fetch every partition from its position, but those that are paused.

        None of these can wait at the log's end: librdkafka 2.16 asks where that is, and an answer
        that comes after a seek takes the partition to the end, past all records in between.
        """
        self._lift_pauses()
        fetched = (self.assigned & self.positions.keys()) - self._paused
        try:
            self._client.assign([ck.TopicPartition(*p, self.positions[p]) for p in sorted(fetched)])
        except KafkaException as exception:
            self._anew = True
            raise raised_by_consumer(exception, "assign") from exception
        self._fetched, self._begun, self._anew = fetched, set(), False
        self._silent_from = _NEVER

    def _lift_pauses(self) -> None:
        if self._halted:
            self._client.resume([ck.TopicPartition(*p) for p in self._halted])
            self._halted.clear()

    def read_again(self) -> None:
        """What the client handed out since the positions moved last was not taken."""
        self._anew = bool(self.positions)

    def before_poll(self) -> None:
        """Assign anew if it is due. Raises Retry, Broken."""
        if self._anew:
            self._assign()
        elif len(self._begun) < len(self._fetched):
            now = time.monotonic()
            if self._silent_from == _NEVER:  # nobody has listened yet
                self._silent_from = now + self._patience
            elif now >= self._silent_from:
                self._wake()

    def _wake(self) -> None:
        """Whatever keeps them from beginning, a pause too. What only takes long gets twice the time
        the next time: its answer, under way, is lost.
        """
        silent = sorted(self._fetched - self._begun)
        _log.warning("assigning anew what brings nothing, not even its end: %s", silent)
        self._client.resume([ck.TopicPartition(*p) for p in silent])
        self._patience *= 2
        self._assign()

    def took(
        self,
        next_offsets: Mapping[TopicPartition, int],
        ends: Mapping[TopicPartition, int],
        lost: Iterable[TopicPartition],
    ) -> None:
        """A poll brought records, ends, and partitions whose next offset the log does not have.

        Beyond the last record lies the marker of its transaction.
        """
        self.positions.update(next_offsets)
        for source, end in ends.items():
            self.positions[source] = max(end, self.positions.get(source, 0))
        self._begun.update(next_offsets, ends)
        self._begun.difference_update(lost)  # they cannot be sought: only a new assignment begins
        if len(self._begun) == len(self._fetched):
            self._patience = _PATIENCE

    def seek(self, partition: TopicPartition, offset: int) -> None:
        """Raises Retry when it is not assigned."""
        if partition not in self.assigned:
            raise Retry(f"seek: {partition.topic}/{partition.partition} is not assigned")
        self.positions[partition] = offset
        if partition not in self._begun:
            self._anew = self._anew or partition not in self._paused or partition in self._fetched
            return
        try:
            self._client.seek(ck.TopicPartition(*partition, offset))
        except KafkaException as exception:
            _log.info("seek of %s/%d: %s; assigning anew", *partition, exception)
            self._anew = True

    def pause(self, partitions: Iterable[TopicPartition]) -> None:
        """They bring nothing until they are resumed."""
        wanted = set(partitions)
        self._paused |= wanted
        if begun := (self._begun & wanted) - self._halted:
            self._client.pause([ck.TopicPartition(*p) for p in begun])
            self._halted |= begun
        if (self._fetched - self._begun) & wanted:
            self._anew = True

    def resume(self, partitions: Iterable[TopicPartition]) -> None:
        """They go on at their positions, once they have one."""
        wanted = set(partitions)
        self._paused -= wanted
        if halted := self._halted & self._begun & wanted:
            self._client.resume([ck.TopicPartition(*p) for p in halted])
            self._halted -= halted
        if ((self.positions.keys() - self._fetched) | self._halted) & wanted:
            self._anew = True
