"""Which records a stage would refuse, as far as that follows from them alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from tidegate.pipeline import STAGES

if TYPE_CHECKING:
    from tidegate.broker.ports import Broker
    from tidegate.broker.records import Batch, TopicPartition
    from tidegate.messages.vault import Vault
    from tidegate.profile import Profile

    Fault = tuple[str, str]
    Judge = Callable[[bytes | None, int], Fault | None]

_WIDTH = 300


class BadRecord(NamedTuple):
    """A record that the stage would refuse.

    `value`, and the detail that may quote it, are left out unless they were asked for.
    """

    offset: int
    within: int
    """The index in the message, where that is a block; else 0."""
    key: str
    reason: str
    detail: str
    bytes: int
    value: str | None

    @property
    def place(self) -> str:
        """Offset and, where it is not the first of a block, index."""
        return f"{self.offset}" + (f"/{self.within}" if self.within else "")


def judge_of(profile: Profile, stage: str) -> Judge:
    """Why the stage would refuse a record, as far as that follows from the record alone."""
    from tidegate.dead_letters.judge import judge_of as judge_of_topic

    judge = judge_of_topic(profile, STAGES[stage].input)

    def fault(value: bytes | None, us: int) -> Fault | None:
        found = judge(value, us)
        return None if found is None else (found.reason, found.detail)

    return fault


def refused(
    broker: Broker,
    source: TopicPartition,
    start: int,
    until: int,
    judge: Judge,
    vault: Vault | None = None,
) -> Iterator[BadRecord]:
    """The bad records with `start` <= offset < `until`; `vault` decrypts, and what was erased is
    not bad.
    """
    from tidegate.stream.side_topic import read_range

    consumer = broker.consumer(None)
    try:
        for batch in read_range(consumer, source, start, until, 2000):
            plain = replace(batch, values=vault.decrypt(batch.values)) if vault else batch
            yield from _of(plain, judge)
    finally:
        consumer.close()


def _of(batch: Batch, judge: Judge) -> Iterator[BadRecord]:
    from tidegate.broker.addresses import index_of, offset_of
    from tidegate.messages.ciphertext import ERASED

    for i, value in enumerate(batch.values):
        fault = None if value == ERASED else judge(value, batch.timestamps[i] * 1000)
        if fault is not None:
            yield BadRecord(
                offset_of(batch.source.topic, batch.offsets[i]),
                index_of(batch.source.topic, batch.offsets[i]),
                (batch.keys[i] or b"").decode("utf-8", "replace"),
                *fault,
                len(value or b""),
                (value or b"")[:_WIDTH].decode("utf-8", "replace"),
            )
