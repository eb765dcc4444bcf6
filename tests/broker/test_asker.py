"""Whoever asks how far topics reach waits no longer than it wants to."""

from __future__ import annotations

import threading
import time

import pytest

from tidegate.broker.asker import Asker
from tidegate.broker.memory.broker import MemoryBroker
from tidegate.broker.records import TopicPartition
from tidegate.errors import ConfigError, Retry


class Away:
    """Answers to `bounds` come when it is `back`."""

    def __init__(self, broker: MemoryBroker) -> None:
        self.asked, self.back = threading.Event(), threading.Event()
        broker.hook = self._hook

    def _hook(self, name: str, done: bool) -> None:
        if name == "bounds" and not done:
            self.asked.set()
            assert self.back.wait(20)


def test_it_tells_where_all_partitions_end() -> None:
    broker = MemoryBroker({"a": 2, "b": 1})
    broker.append("b", b"k", b"v", None, None)
    asker = Asker(broker)
    ends = asker.ends(["a", "b"], time.monotonic() + 5)
    assert ends == {
        TopicPartition("a", 0): 0,
        TopicPartition("a", 1): 0,
        TopicPartition("b", 0): 1,
    }
    with pytest.raises(ConfigError):
        asker.ends(["none"], time.monotonic() + 5)
    asker.close()


def test_nobody_waits_for_what_another_waits_for() -> None:
    broker = MemoryBroker({"a": 3})
    away, asker = Away(broker), Asker(broker)
    failed: list[str] = []

    def ask(seconds: float) -> None:
        try:
            asker.ends(["a"], time.monotonic() + seconds)
        except Retry as error:
            failed.append(str(error))

    first = threading.Thread(target=ask, args=(0.0,))
    first.start()
    assert away.asked.wait(10)
    others = [threading.Thread(target=ask, args=(0.05,)) for _ in range(8)]
    for each in others:
        each.start()
    for each in others:
        each.join(10)
    assert not any(each.is_alive() for each in others), "they wait for the first one's answer"
    assert failed == ["Kafka has not answered those who asked before"] * 8
    assert first.is_alive()
    away.back.set()
    first.join(10)
    assert failed[8:] == ["Kafka has not told in time where topic a ends"]
    asker.close()
