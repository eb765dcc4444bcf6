"""Where partitions go on: what the sink says, held against what the log still has.

Kafka's clients begin elsewhere, in silence, when the log no longer has an offset (retention) or not
yet (the topic was cut short, or made anew). Here that is a loss: the partition is held until
somebody accepts it.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from tidegate.broker.addresses import messages, shown
from tidegate.broker.records import Position, TopicPartition
from tidegate.errors import Retry, Stop
from tidegate.stream import waiting
from tidegate.stream.partition import Hold, Partition
from tidegate.stream.restore import Restorer
from tidegate.stream.sink import Sink
from tidegate.stream.skips import Skips

_LOG = logging.getLogger(__name__)


class Found(NamedTuple):
    """Where each partition goes on, and why the others are held, or not known yet."""

    positions: dict[TopicPartition, Position]
    lost: dict[TopicPartition, Hold]
    away: dict[TopicPartition, Retry]


class Positions:
    """The sink's positions of one stage. `skips` knows which losses were accepted."""

    def __init__(self, stage: str, sink: Sink, restorer: Restorer, skips: Skips | None) -> None:
        self._stage, self._sink, self._restorer, self._skips = stage, sink, restorer, skips

    def find(
        self, sources: Sequence[TopicPartition], known: Mapping[TopicPartition, Partition]
    ) -> Found:
        """Raises Retry, and Stop where one that this process has served has no position any more.

        Where there was none, or a loss was accepted, the new position is written before anything is
        processed: what is lost behind it from now on is noticed.
        """
        self._sink.settle()
        stored = self._sink.positions(list(sources)) if sources else {}
        positions: dict[TopicPartition, Position] = {}
        lost: dict[TopicPartition, Hold] = {}
        away: dict[TopicPartition, Retry] = {}
        for source in sources:
            if source not in stored and source in known:
                raise Stop(_made_anew(known[source]))
            try:
                found = self._check(source, stored.get(source))
            except Retry as error:  # its log alone does not answer
                away[source] = error
                continue
            if isinstance(found, Hold):
                lost[source] = found
            else:
                positions[source] = found
        moved = {
            source: position
            for source, position in positions.items()
            if position != stored.get(source)
        }
        if moved:
            self._sink.write([], moved)
        return Found(positions, lost, away)

    def _check(self, source: TopicPartition, position: Position | None) -> Position | Hold:
        first, end = self._restorer.bounds(source)
        if position is None:
            return Position(first)
        hold = lost_between(source.topic, position, first, end)
        if hold is None:
            return position
        order = self._skips.accepted_loss(source) if self._skips else None
        if order is None or (order.offset, order.until) != hold.in_messages(source.topic):
            return hold
        _LOG.warning("stage %s: %s; accepted by %s", self._stage, hold.why(source), order.by)
        if position.offset <= end:
            note = waiting.without(position.note, first)
            return Position(max(first, position.offset), note)
        self._restorer.forget_after(source, first)
        return Position(first)


def _made_anew(partition: Partition) -> str:
    """A group's position goes with its topic, and with nothing else while the group lives."""
    topic, number = partition.source
    return (
        f"{topic}/{number} has no position any more, it was {shown(topic, partition.offset)}: was "
        "the topic made anew? What it held before, and was not processed, is lost; started again, "
        "this stage begins where the new topic does"
    )


def lost_between(topic: str, position: Position, first: int, end: int) -> Hold | None:
    """The hold of a position outside of a topic's log that begins at `first` and ends at `end`.

    Also of one whose note says that records wait which the log no longer has.
    """
    offset, gone = position.offset, waiting.gone(position.note, first)
    if offset > end:
        return Hold(offset, first, (), messages(topic, offset - end))
    if offset < first:
        return Hold(offset, first, (), messages(topic, first - offset) + len(gone))
    return Hold(gone[0], first, (), len(gone)) if gone else None
