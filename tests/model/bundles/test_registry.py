"""The registry that a tail keeps: as new as a reading of the whole topic, and read once."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from model.bundles.promotion import current_champion, online_key, promote
from model.bundles.registry import FollowedRegistry, Registry
from tests.broker.test_asker import Away
from tidegate.broker.memory.broker import MemoryBroker
from tidegate.broker.records import Batch, TopicPartition
from tidegate.broker.write import write
from tidegate.errors import ConfigError, Retry
from tidegate.messages.documents import Champion, OnlineWeights, encode
from tidegate.pipeline import MODELS, PROMOTIONS


@pytest.fixture
def broker() -> MemoryBroker:
    return MemoryBroker({MODELS: 1, PROMOTIONS: 1})


@pytest.fixture
def followed(broker: MemoryBroker) -> Iterator[FollowedRegistry]:
    registry = FollowedRegistry(broker, "aaaa")
    yield registry
    registry.close()


def publish(broker: MemoryBroker, number: int) -> None:
    weights = OnlineWeights("one", number, b"", number, number)
    write(broker, MODELS, online_key("one"), encode(weights), what="weights")


def test_every_answer_is_as_new_as_the_whole_topic_and_each_record_is_read_once(
    broker: MemoryBroker, followed: FollowedRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[int] = []
    absorb = followed.tail._absorb

    def watched(batch: Batch) -> None:
        taken.extend(batch.offsets)
        absorb(batch)

    monkeypatch.setattr(followed.tail, "_absorb", watched)
    assert followed.champion(5.0) is None
    for number in range(30):
        publish(broker, number)
        promote(broker, f"bundle{number % 7}", ("aaaa", "bbbb")[number % 2], by="test")
        assert followed.champion(5.0) == current_champion(broker, "aaaa")
        assert followed.champion(5.0) == current_champion(broker, "aaaa")
    end = len(broker.logs[TopicPartition(MODELS, 0)])
    assert taken == list(range(end))


def test_what_was_not_read_is_not_answered_from(
    broker: MemoryBroker, followed: FollowedRegistry
) -> None:
    promote(broker, "one", "aaaa", by="test")
    assert followed.champion(5.0) is not None
    followed.tail.close()
    promote(broker, "two", "aaaa", by="test")
    with pytest.raises(Retry, match="not read to its end"):
        followed.champion(0.01)


def test_callers_give_up_in_time_while_one_waits_for_kafka(broker: MemoryBroker) -> None:
    away = Away(broker)
    followed = FollowedRegistry(broker, "aaaa")
    first = threading.Thread(target=lambda: followed.champion(30.0))
    try:
        first.start()
        assert away.asked.wait(10)
        with pytest.raises(Retry):
            followed.champion(0.05)
        assert first.is_alive()
    finally:
        away.back.set()
        first.join(10)
        followed.close()


def test_without_the_topic_it_says_so() -> None:
    registry = FollowedRegistry(MemoryBroker({}), "aaaa")
    with pytest.raises(ConfigError):
        registry.champion(0.1)
    registry.close()


def test_records_that_come_again_change_nothing() -> None:
    """A tail that lost its broker starts over."""

    def promotions(*bundles: str) -> Batch:
        values = [encode(Champion(bundle, "aaaa", 1)) for bundle in bundles]
        n = len(values)
        source = TopicPartition(MODELS, 0)
        return Batch(source, list(range(n)), [b"k"] * n, list(values), [0] * n, [None] * n)

    registry = Registry("aaaa")
    registry.absorb(promotions("one", "two", "three"))
    registry.absorb(promotions("one", "two"))
    promoted, _ = registry.now()
    assert promoted is not None
    assert (promoted.champion.bundle, promoted.offset) == ("three", 2)
