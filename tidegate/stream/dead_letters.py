"""Dead letters: the original key and value untouched, and headers that say what happened."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence

from tidegate.broker.addresses import address_of, has_blocks, index_of, offset_of
from tidegate.broker.ports import Producer
from tidegate.broker.records import Batch, Headers, TopicPartition
from tidegate.errors import Retry
from tidegate.messages.origin import origin
from tidegate.pipeline import DLQ
from tidegate.stream.stage import Emit, Reject

PREFIX = "tidegate-"
ATTEMPT = "tidegate-attempt"
RECORDED = "tidegate-recorded"
KEY = "tidegate-key"
"""Stage, topic, partition and offset in one, and of a block the index: equal for two copies of one
dead letter.
"""


def dead_letters(
    stage: str, profile_hash: bytes, batch: Batch, rejects: Sequence[Reject], now_us: int
) -> Emit:
    """The dead letters of a batch.

    Headers of the record stay; `tidegate-*` ones are set anew. A record that was put back carries
    its attempt; the dead letter counts one more, so the first failure is attempt 1.
    """
    return Emit(
        DLQ,
        [_key(batch, reject.index) for reject in rejects],
        [batch.values[reject.index] for reject in rejects],
        [_headers(stage, profile_hash, batch, reject, now_us) for reject in rejects],
    )


def _key(batch: Batch, index: int) -> bytes | None:
    """The record's own; of a frame in a block, which has none, the transaction's id."""
    key = batch.keys[index]
    if key is None and has_blocks(batch.source.topic):
        found = origin(batch.values[index])
        return found.id if found else None
    return key


def _headers(stage: str, profile_hash: bytes, batch: Batch, reject: Reject, now_us: int) -> Headers:
    topic, partition = batch.source
    address = batch.offsets[reject.index]
    offset, index = offset_of(topic, address), index_of(topic, address)
    in_block = has_blocks(topic)
    headers = batch.headers[reject.index] or []
    written = {
        "stage": stage,
        "reason": reject.reason,
        "detail": reject.detail[:1000],
        "exception": reject.exception,
        "topic": topic,
        "partition": str(partition),
        "offset": str(offset),
        **({"index": str(index)} if in_block else {}),
        "time": str(now_us),
        "recorded": str(recorded_ms(headers, batch.timestamps[reject.index])),
        "attempt": str(attempt(headers) + 1),
        "profile": profile_hash.decode("ascii"),
        "key": f"{stage}/{topic}/{partition}/{offset}" + (f"/{index}" if in_block else ""),
    }
    kept = [(name, value) for name, value in headers if not name.startswith(PREFIX)]
    return kept + [
        (PREFIX + name, value.encode("utf-8", "replace")) for name, value in written.items()
    ]


def told(headers: Headers | None) -> dict[str, str]:
    """What the headers of a dead letter say, by their names without `tidegate-`."""
    return {
        name[len(PREFIX) :]: (value or b"").decode("utf-8", "replace")
        for name, value in headers or []
        if name.startswith(PREFIX)
    }


def place(told: Mapping[str, str]) -> tuple[TopicPartition, int] | None:
    """The partition and address of the record that failed; None where the headers do not say."""
    topic, partition, offset = (told.get(name, "") for name in ("topic", "partition", "offset"))
    if not (topic and partition.isdecimal() and offset.isdecimal()):
        return None
    index = told.get("index", "")
    address = address_of(topic, int(offset), int(index) if index.isdecimal() else 0)
    return TopicPartition(topic, int(partition)), address


def attempt(headers: Headers | None) -> int:
    """How often this record failed before: its header `tidegate-attempt`, or 0."""
    text = dict(headers or []).get(ATTEMPT) or b""
    return int(text) if text.isdigit() and len(text) < 10 else 0


def recorded_ms(headers: Headers | None, timestamp_ms: int) -> int:
    """When a record came first: before it failed and was put back, if it was."""
    text = dict(headers or []).get(RECORDED) or b""
    first = int(text) if text.isdigit() and len(text) < 16 else timestamp_ms
    return min(first, timestamp_ms)


def deliver(producer: Producer, emit: Emit, timeout: float) -> None:
    """Send by an idempotent producer and wait until all are durable.

    For sinks whose transaction is not Kafka's.

    Raises Retry when not all are within `timeout` s; a second try makes copies with the same
    `tidegate-key`.
    """
    failures: list[Exception] = []
    missing = threading.Semaphore(0)

    def delivered(error: Exception | None) -> None:
        if error is not None:
            failures.append(error)
        missing.release()

    headers = emit.headers or [None] * len(emit.keys)
    for key, value, extra in zip(emit.keys, emit.values, headers, strict=True):
        producer.produce(emit.topic, key, value, delivered, extra)
    if producer.flush(timeout):
        raise Retry(f"dead letters not durable within {timeout} s")
    for _ in emit.keys:
        if not missing.acquire(timeout=timeout):
            raise Retry(f"dead letters not durable within {timeout} s")
    if failures:
        raise Retry(f"dead letters: {failures[0]}")
