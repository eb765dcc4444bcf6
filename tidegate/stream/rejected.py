"""What a stage has rejected, by offset: a state that is folded anew leaves it out.

A profile that takes more than the one before would take those records now, and they would be in the
windows although they never became rows; put back later, they would count twice, or be taken for
repetitions. So the fold follows what was decided: dead letters are not part of it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from tidegate.broker.ports import Consumer
from tidegate.broker.records import Batch, TopicPartition
from tidegate.pipeline import DLQ
from tidegate.stream.dead_letters import place, told
from tidegate.stream.side_topic import poll_range

_POLL = 4000
_CONFLICT = "conflicting_duplicate"
"""Those are found again by the fold itself; where the database found one, the fold has it."""


class Rejected:
    """The dead letters of one stage, read as they grow. `reader` has no group.

    They are held as a set of offsets, some 100 bytes each.
    """

    def __init__(self, stage: str, reader: Consumer) -> None:
        self._stage, self._reader = stage, reader
        self._next: dict[TopicPartition, int] = {}
        self._offsets: dict[TopicPartition, set[int]] = defaultdict(set)

    def read(self) -> Iterator[None]:
        """Read those that have come since, a batch at each step. Raises Retry.

        Broken off, another call goes on from there.
        """
        self._reader.assign({})  # a fetch that waits for records holds up every question
        for partition in self._reader.partitions(DLQ):
            first, end = self._reader.bounds(partition)
            start = max(first, self._next.get(partition, 0))
            for batch in poll_range(self._reader, partition, start, end, _POLL):
                if batch is not None:
                    self._note(batch)
                    self._next[partition] = batch.next_offset
                yield
            self._next[partition] = end

    def of(self, source: TopicPartition) -> set[int]:
        """The offsets of a partition that are dead letters, as far as they were read."""
        return self._offsets[source]

    def _note(self, batch: Batch) -> None:
        for headers in batch.headers:
            said = told(headers)
            failed = place(said)
            if failed and said.get("stage") == self._stage and said.get("reason") != _CONFLICT:
                source, offset = failed
                self._offsets[source].add(offset)
