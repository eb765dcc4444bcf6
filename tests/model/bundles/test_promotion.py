from __future__ import annotations

import pytest

from model.bundles.changes import changes
from model.bundles.promotion import (
    current_champion,
    model_message,
    online_key,
    promote,
    set_canary,
    set_shadow,
)
from tidegate.broker.memory.broker import MemoryBroker
from tidegate.errors import ConfigError, Retry
from tidegate.messages.documents import Champion, OnlineWeights, encode
from tidegate.pipeline import MODELS, PROMOTIONS


def broker() -> MemoryBroker:
    return MemoryBroker({MODELS: 1, PROMOTIONS: 1})


def test_the_newest_promotion_of_the_profile_is_the_champion() -> None:
    log = broker()
    assert current_champion(log, "aaaa") is None
    for bundle, profile in (("one", "aaaa"), ("two", "aaaa"), ("three", "bbbb")):
        promote(log, bundle, profile, by="test")
    current = current_champion(log, "aaaa")
    assert current is not None
    assert (current.champion.bundle, current.champion.by, current.offset) == ("two", "test", 1)


def test_a_promotion_names_the_champion_before_it_and_is_made_once() -> None:
    log = broker()
    first = promote(log, "one", "aaaa", by="test")
    assert first.champion.previous == ""
    second = promote(log, "two", "aaaa", by="test")
    assert (second.champion.previous, second.offset) == ("one", 1)
    assert promote(log, "two", "aaaa", by="again") == second
    assert promote(log, "one", "aaaa", by="test").champion.previous == "two"


def test_what_is_no_promotion_is_passed_over() -> None:
    log = broker()
    promote(log, "one", "aaaa", by="test")
    producer = log.producer()
    for value in (None, b"{", encode(OnlineWeights("one", 1, b"", 1, 1))):
        producer.produce(MODELS, online_key("one"), value, lambda _fault: None)
    producer.flush(1.0)
    current = current_champion(log, "aaaa")
    assert current is not None
    assert current.champion.bundle == "one"


def test_without_the_topic_it_says_so() -> None:
    with pytest.raises(ConfigError):
        current_champion(MemoryBroker({}), "aaaa")


def test_messages_of_the_topic() -> None:
    champion = Champion("one", "aaaa", 1)
    assert model_message(encode(champion)) == champion
    assert model_message(None) is None
    assert model_message(b"\xff") is None


def test_compaction_leaves_each_profile_its_own() -> None:
    """It keeps the newest record of a key, so profiles must not share one."""
    log = broker()
    for profile in ("aaaa", "bbbb"):
        promote(log, "one", profile, by="test")
        set_shadow(log, "two", profile, by="test")
        set_canary(log, "three", profile, 0.1, by="test")
    keys = [record.key for _, _, record in log.committed_records(MODELS)]
    assert len(set(keys)) == 6


def test_nothing_of_the_history_has_to_be_compacted_away() -> None:
    """Each order is a record of `promotions`, in order, beside the one of `models`."""
    log = broker()
    for bundle in ("one", "two", "one"):
        promote(log, bundle, "aaaa", by="ann")
    promote(log, "one", "aaaa", by="made already")
    promote(log, "other", "bbbb", by="test")
    set_shadow(log, "two", "aaaa", by="bob")
    set_canary(log, "", "aaaa", 0.0, by="bob")
    found = list(changes(log, "aaaa"))
    assert [(type(order).__name__, order.bundle, order.by) for _, order in found] == [
        ("Champion", "one", "ann"),
        ("Champion", "two", "ann"),
        ("Champion", "one", "ann"),
        ("Shadow", "two", "bob"),
        ("Canary", "", "bob"),
    ]
    assert [at_ms for at_ms, _ in found] == sorted(at_ms for at_ms, _ in found)


def test_what_the_history_cannot_be_told_is_not_done() -> None:
    log = MemoryBroker({MODELS: 1})
    with pytest.raises(ConfigError, match="promotions"):
        promote(log, "one", "aaaa", by="test")
    assert current_champion(log, "aaaa") is None


def test_an_order_that_failed_is_in_the_history_and_changes_nothing() -> None:
    log = broker()
    promote(log, "one", "aaaa", by="test")
    written: list[str] = []

    def away(name: str, done: bool) -> None:
        if name == "producer.produce" and not done:
            written.append(name)
            if len(written) == 2:
                raise Retry("away")

    log.hook = away
    with pytest.raises(Retry):
        promote(log, "two", "aaaa", by="test")
    assert [change.order.bundle for change in changes(log, "aaaa")] == ["one", "two"]
    current = current_champion(log, "aaaa")
    assert current is not None
    assert current.champion.bundle == "one"
