"""The sink when the broker does not say where the group is."""

from __future__ import annotations

import pytest

from tidegate.broker.memory.broker import MemoryBroker
from tidegate.broker.records import TopicPartition
from tidegate.errors import Retry
from tidegate.pipeline import ALERTS, SCORED
from tidegate.stream.sink import KafkaSink

SOURCE = TopicPartition("in", 0)


def test_what_hangs_in_the_group_is_ended_after_a_while() -> None:
    broker = MemoryBroker({"in": 1, SCORED: 2, ALERTS: 1})
    calls, hangs, now = list[str](), [True], [0.0]

    def hook(name: str, done: bool) -> None:
        if not done:
            calls.append(name)
            if name == "committed" and hangs[0]:
                raise Retry("positions are unstable")

    consumer = broker.consumer("group")
    consumer.subscribe("in", lambda _: {}, lambda _: None)
    consumer.poll(1, 0)
    sink = KafkaSink(
        broker,
        consumer,
        "score",
        instance="a",
        profile=b"p",
        clock=lambda: 1,
        monotonic=lambda: now[0],
    )
    sink.settle()
    broker.hook = hook

    def asked_at(second: float) -> list[str]:
        now[0] = second
        calls.clear()
        with pytest.raises(Retry):
            sink.positions([SOURCE])
        return calls

    assert asked_at(100) == ["committed"], "a transaction may be open for a while"
    assert asked_at(110) == ["committed"]
    assert asked_at(130) == ["committed"], "nothing was asked for long: it may be another one"
    assert asked_at(140) == ["committed"]
    assert asked_at(146) == ["committed", "begin", "touch", "send_offsets", "abort"]
    for source in [TopicPartition(SCORED, 0), TopicPartition(SCORED, 1), TopicPartition(ALERTS, 0)]:
        assert len(broker.logs[source]) == 2, "a record and its marker"
    hangs[0] = False
    assert sink.positions([SOURCE]) == {}
