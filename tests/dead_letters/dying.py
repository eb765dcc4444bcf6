"""Dead letters of made-up records in memory, and what comes back of them."""

from __future__ import annotations

from tests.producers.running_api import TOPICS
from tidegate.broker.memory.broker import MemoryBroker
from tidegate.broker.records import Batch, Headers, TopicPartition
from tidegate.dead_letters.plan import Summary
from tidegate.dead_letters.redrive import redrive
from tidegate.dead_letters.selection import Selection
from tidegate.pipeline import RAW
from tidegate.profile import load_profile
from tidegate.stream.dead_letters import ATTEMPT, dead_letters
from tidegate.stream.stage import Reject

PROFILE = load_profile("card")


class Letters:
    """Dead letters as the stages write them, on a broker in memory."""

    def __init__(self) -> None:
        self.broker = MemoryBroker(TOPICS)

    def add(
        self,
        number: int,
        *,
        topic: str = RAW,
        stage: str = "preprocess",
        reason: str = "invalid_json",
        failed_before: int = 0,
        profile: bytes = PROFILE.hash,
        value: bytes = b"",
    ) -> None:
        headers: Headers = [("trace", b"abc"), (ATTEMPT, str(failed_before).encode())]
        batch = Batch(
            TopicPartition(topic, 0),
            [number],
            [f"key-{number}".encode()],
            [value or f"value-{number}".encode()],
            [0],
            [headers],
        )
        emit = dead_letters(stage, profile, batch, [Reject(0, reason, "detail")], 0)
        for key, value, extra in zip(emit.keys, emit.values, emit.headers or [], strict=True):
            self.broker.producer().produce(emit.topic, key, value, lambda _: None, extra)

    def redrive(self, selection: Selection | None = None, **options: object) -> Summary:
        return redrive(self.broker, PROFILE, selection or Selection(), **options)  # type: ignore[arg-type]

    def back(self, topic: str = RAW) -> list[bytes]:
        return sorted(record.value or b"" for _, _, record in self.broker.committed_records(topic))


def values(*numbers: int) -> list[bytes]:
    return sorted(f"value-{number}".encode() for number in numbers)
