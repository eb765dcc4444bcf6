from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.broker.memory.broker import MemoryBroker
from tidegate.broker.ports import Delivered
from tidegate.broker.records import Batch, Headers, TopicPartition
from tidegate.errors import Retry
from tidegate.pipeline import DLQ, RAW
from tidegate.stream.dead_letters import ATTEMPT, KEY, attempt, dead_letters, deliver
from tidegate.stream.stage import Reject


def batch(headers: Headers | None) -> Batch:
    return Batch(
        TopicPartition(RAW, 2),
        [40, 41],
        [b"a", None],
        [b"\xff\x00", None],
        [1, 2],
        [headers, None],
    )


def test_headers_say_what_happened_and_the_record_is_untouched() -> None:
    rejects = [Reject(0, "invalid_utf8", "byte 0", ""), Reject(1, "empty", "no value")]
    emit = dead_letters(
        "preprocess",
        b"0123abcd",
        batch([("trace", b"t"), ("tidegate-reason", b"old")]),
        rejects,
        99,
    )
    assert (emit.topic, emit.keys, emit.values) == (
        DLQ,
        [b"a", None],
        [b"\xff\x00", None],
    )
    assert emit.headers
    told = dict(emit.headers[0] or [])
    assert told == {
        "trace": b"t",
        "tidegate-stage": b"preprocess",
        "tidegate-reason": b"invalid_utf8",
        "tidegate-detail": b"byte 0",
        "tidegate-exception": b"",
        "tidegate-topic": b"transactions.raw",
        "tidegate-partition": b"2",
        "tidegate-offset": b"40",
        "tidegate-time": b"99",
        "tidegate-recorded": b"1",
        "tidegate-attempt": b"1",
        "tidegate-profile": b"0123abcd",
        KEY: b"preprocess/transactions.raw/2/40",
    }


def test_a_record_put_back_counts_one_more_attempt() -> None:
    emit = dead_letters("s", b"p", batch([(ATTEMPT, b"3")]), [Reject(0, "r", "d")], 0)
    assert attempt((emit.headers or [None])[0]) == 4


@given(st.binary())
def test_nonsense_in_the_attempt_counts_as_none_or_as_a_number(value: bytes) -> None:
    assert attempt([(ATTEMPT, value)]) >= 0


def test_delivery_waits_for_all() -> None:
    broker = MemoryBroker({DLQ: 1})
    deliver(broker.producer(), dead_letters("s", b"p", batch(None), [Reject(0, "r", "d")], 0), 1)
    assert [record.value for _, _, record in broker.committed_records(DLQ)] == [b"\xff\x00"]


class Failing:
    """A producer whose broker refuses."""

    def produce(
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        on_delivery: Delivered,
        headers: Headers | None = None,
    ) -> None:
        on_delivery(OSError("no"))

    def produce_all(
        self,
        topic: str,
        records: Sequence[tuple[bytes | None, bytes | None]],
        on_delivery: Delivered,
    ) -> None: ...

    def flush(self, timeout: float) -> int:
        return 0

    def close(self) -> None: ...


def test_a_dead_letter_that_is_not_durable_is_a_retry() -> None:
    with pytest.raises(Retry, match="no"):
        deliver(Failing(), dead_letters("s", b"p", batch(None), [Reject(0, "r", "d")], 0), 1)
