"""Dead letters as the stages write them, on the real Kafka."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import NamedTuple

from tidegate.broker.kafka import KafkaBroker
from tidegate.broker.records import Batch, Headers, TopicPartition
from tidegate.pipeline import RAW
from tidegate.profile import Profile
from tidegate.stream.dead_letters import ATTEMPT, dead_letters
from tidegate.stream.stage import Reject


class Bad(NamedTuple):
    """A record that a stage could not process."""

    value: bytes
    detail: str
    reason: str = "wrong_type"
    stage: str = "preprocess"
    topic: str = RAW
    key: bytes = b"u-1"
    headers: Headers = []  # noqa: RUF012 - nobody changes it
    failed_before: int = 0


def die(broker: KafkaBroker, profile: Profile, start: int, bad: Sequence[Bad]) -> None:
    """Durable dead letters of these records, which lay on their topics from offset `start` on."""
    producer, done = broker.producer(), threading.Semaphore(0)
    for place, one in enumerate(bad):
        headers = [*one.headers, (ATTEMPT, str(one.failed_before).encode())]
        source = TopicPartition(one.topic, 0)
        batch = Batch(source, [start + place], [one.key], [one.value], [0], [headers])
        emit = dead_letters(
            one.stage, profile.hash, batch, [Reject(0, one.reason, one.detail)], 1_700_000_000
        )
        for key, value, extra in zip(emit.keys, emit.values, emit.headers or [], strict=True):
            producer.produce(emit.topic, key, value, lambda _: done.release(), extra)
    producer.flush(10)
    for _ in bad:
        assert done.acquire(timeout=10)
    producer.close()
