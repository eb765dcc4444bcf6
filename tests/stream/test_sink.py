"""The sink when the broker does not say where the group is."""

from __future__ import annotations

import pytest

from tidegate.broker.memory.broker import MemoryBroker
from tidegate.broker.records import TopicPartition
from tidegate.errors import Retry
from tidegate.stream import sink as module
from tidegate.stream.sink import KafkaSink

SOURCE = TopicPartition("in", 0)


def test_what_hangs_in_the_group_is_ended_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    broker, calls, hangs = MemoryBroker({"in": 1}), list[str](), [True]

    def hook(name: str, done: bool) -> None:
        if not done:
            calls.append(name)
            if name == "committed" and hangs[0]:
                raise Retry("positions are unstable")

    consumer = broker.consumer("group")
    consumer.subscribe("in", lambda _: {}, lambda _: None)
    consumer.poll(1, 0)
    sink = KafkaSink(broker, consumer, "toy", instance="a", profile=b"p", clock=lambda: 1)
    broker.hook = hook
    with pytest.raises(Retry):
        sink.positions([SOURCE])
    assert calls[-1] == "committed", "a transaction may be open for a while"
    monkeypatch.setattr(module, "_HANGING_SECONDS", 0.0)
    with pytest.raises(Retry):
        sink.positions([SOURCE])
    assert calls[-4:] == ["committed", "begin", "send_offsets", "abort"]
    hangs[0] = False
    assert sink.positions([SOURCE]) == {}
