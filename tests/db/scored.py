"""Scored frames of a small profile, as the scorer would send them."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import numpy as np

from consumers.persist import Persist
from db.names import Names
from db.sink import SqlSink
from tidegate.broker.addresses import address_of
from tidegate.broker.memory.broker import MemoryBroker
from tidegate.broker.memory.log import Record
from tidegate.broker.records import Batch, Position, TopicPartition
from tidegate.errors import TidegateError
from tidegate.messages.frames import FrameLayout, Frames
from tidegate.pipeline import BY_ENTITY_2, DLQ, FEATURES, SCORED
from tidegate.profile import Profile
from tidegate.stream.stage import Output

SOURCE = TopicPartition(SCORED, 0)
NAMES = Names(
    "abcd1234", "toy", ("amount", "count_1h"), ("trees", "online"), ("user_id", "merchant")
)


class ToyProfile:
    """As much of a profile as persisting needs."""

    values = features = ("amount", "count_1h")
    inputs = ("amount",)
    scored_layout = FrameLayout(b"abcd1234", steps=2, keys=2, values=2, scores=3)
    hash = version = scored_layout.profile


LAYOUT = ToyProfile.scored_layout
STAGE = Persist(cast(Profile, ToyProfile()), Path("nowhere"))


STEP_2 = address_of(BY_ENTITY_2, 22, 5)


def frames(
    ids: list[str],
    *,
    body: int = 0,
    decision: int = 0,
    account: str = "u1",
    reasons: str = "",
    score: float = 0.25,
    event_us: int = 1_000,
) -> Frames:
    """One frame for each id; `body` makes another body hash."""
    rows = LAYOUT.empty(len(ids))
    rows["values"] = [1.5, np.nan]
    rows["keys"] = [7, 2**64 - 1]
    rows["scores"], rows["score"], rows["decision"] = [0.25, 0.5, np.nan], score, decision
    rows["bundle"], rows["models_offset"], rows["online_labels"] = b"0123456789abcdef", -1, 3
    rows["event_us"], rows["ingest_us"], rows["amount_minor"] = event_us, 2_000, 1_250
    rows["steps"]["time_us"], rows["steps"]["offset"] = [3_000, 4_000], [11, STEP_2]
    rows["features_offset"] = address_of(FEATURES, 33, 6)
    rows["scored_us"] = 5_000
    rows["body_hash"] = np.frombuffer(body.to_bytes(16, "little"), "V16")
    payload = b'{"user_id":"%s","merchant":7,"body":%d}' % (account.encode(), body)
    return Frames(
        rows,
        [i.encode() for i in ids],
        [account.encode()] * len(ids),
        [payload] * len(ids),
        [reasons.encode()] * len(ids),
    )


def values(ids: list[str], **options: str | int | float) -> list[bytes | None]:
    """The frames as messages."""
    return list(LAYOUT.pack(frames(ids, **options)))  # type: ignore[arg-type] # by name


@dataclass
class Writer:
    """A sink on one database and one broker, and the offsets it goes on from."""

    url: str
    broker: MemoryBroker = field(default_factory=lambda: MemoryBroker({SCORED: 2, DLQ: 1}))
    now: int = 9_000
    sink: SqlSink = field(init=False)
    next: dict[TopicPartition, Position] = field(init=False)

    def __post_init__(self) -> None:
        self.sink = SqlSink(self.url, self.broker, NAMES, clock=lambda: self.now)
        try:
            self.assign()
        except TidegateError:
            self.sink.close()
            raise

    def assign(self) -> None:
        """Ask the database where to go on."""
        sources = [TopicPartition(SCORED, 0), TopicPartition(SCORED, 1)]
        self.next = self.sink.positions(sources)

    def write(self, *messages: bytes | None, partition: int = 0) -> None:
        """The next messages of one partition, through the stage into the database."""
        self.write_all({partition: list(messages)})

    def write_all(self, by_partition: dict[int, list[bytes | None]]) -> None:
        """The next messages of several partitions, in one transaction."""
        results = [
            _process(TopicPartition(SCORED, partition), self.at(partition), messages)
            for partition, messages in by_partition.items()
        ]
        after = {batch.source: Position(batch.next_offset) for batch, _ in results}
        self.sink.write(results, after)
        self.next |= after

    def at(self, partition: int) -> int:
        """The offset of the next record."""
        return self.next.get(TopicPartition(SCORED, partition), Position(0)).offset

    def dead(self) -> list[Record]:
        """The dead letters so far."""
        return self.broker.logs[TopicPartition(DLQ, 0)]

    def reasons(self) -> list[str]:
        """Their reasons."""
        return [dict(record.headers or [])["tidegate-reason"].decode() for record in self.dead()]


def _process(
    source: TopicPartition, start: int, messages: list[bytes | None]
) -> tuple[Batch, Output]:
    batch = batch_of(messages, source=source, start=start)
    return batch, STAGE.process(STAGE.new_state(0, 1), batch)


def batch_of(
    messages: list[bytes | None], source: TopicPartition = SOURCE, start: int = 0
) -> Batch:
    """Messages as a batch from offset `start` on."""
    count = len(messages)
    return Batch(
        source,
        list(range(start, start + count)),
        [None] * count,
        messages,
        [0] * count,
        [None] * count,
    )
