"""Single dead letters, read by their addresses."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator

from tidegate.broker.ports import Consumer
from tidegate.broker.records import TopicPartition
from tidegate.dead_letters.letters import DeadLetter, dead_letters
from tidegate.messages.vault import Vault
from tidegate.pipeline import DLQ
from tidegate.stream.side_topic import read_range

Place = tuple[int, int]
"""Partition and offset on the dead-letter topic."""
_STRIDE = 300
"""Letters that lie no farther apart are read in one go."""


def letters_at(
    consumer: Consumer, places: Collection[Place], vault: Vault | None = None
) -> dict[Place, DeadLetter]:
    """The letters at these places; one that is not there (any more) is left out. Raises Retry."""
    found: dict[Place, DeadLetter] = {}
    wanted = frozenset(places)
    known = {source.partition: source for source in consumer.partitions(DLQ)}
    offsets: dict[TopicPartition, list[int]] = defaultdict(list)
    for partition, offset in wanted:
        if partition in known:
            offsets[known[partition]].append(offset)
    for source, mine in offsets.items():
        first, end = consumer.bounds(source)
        kept = sorted(offset for offset in mine if first <= offset < end)
        for start, stop in _runs(kept):
            for batch in read_range(consumer, source, start, stop, _STRIDE):
                letters = dead_letters(batch, vault)
                found |= {letter.place: letter for letter in letters if letter.place in wanted}
    return found


def _runs(offsets: list[int]) -> Iterator[tuple[int, int]]:
    """First offset and the one after the last of each stretch."""
    start = 0
    for i in range(1, len(offsets) + 1):
        if i == len(offsets) or offsets[i] - offsets[i - 1] > _STRIDE:
            yield offsets[start], offsets[i - 1] + 1
            start = i
