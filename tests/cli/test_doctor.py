from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from cli.doctor import _topics, about_records, newest
from tests.profile.enveloped import enveloped
from tidegate.broker.kafka.admin import TopicState
from tidegate.broker.memory.broker import MemoryBroker
from tidegate.errors import ConfigError
from tidegate.pipeline import RAW
from tidegate.settings import Settings
from tidegate.topics import load_topics


def test_a_default_in_a_connector_s_schema_is_named(tmp_path: Path) -> None:
    """Of real records: the recorded ones have no default, and the same with one have."""
    lines = Path("tests/data/debezium/a_default_schemas_on.jsonl").read_bytes().splitlines()
    recorded = [bytes(msgspec.json.decode(line, type=Line).value) for line in lines]
    envelope = enveloped(tmp_path).envelope
    assert envelope is not None
    assert "no default" in about_records(envelope, [*recorded, None, b"{"])
    amount = b'"name":"org.apache.kafka.connect.data.Decimal"'
    with_default = [value.replace(amount, b'"default":"AA==",' + amount) for value in recorded]
    assert with_default != recorded
    with pytest.raises(ConfigError, match=r"amount.*replace\.null\.with\.default=false"):
        about_records(envelope, with_default)


def test_the_newest_records_are_looked_at() -> None:
    broker = MemoryBroker({RAW: 2})
    assert newest(broker, RAW) == []
    producer = broker.producer()
    for number in range(50):
        producer.produce(RAW, b"one", b"%d" % number, lambda _: None)
    producer.flush(1.0)
    assert newest(broker, RAW, 20) == [b"%d" % number for number in range(30, 50)]


class Line(msgspec.Struct):
    value: msgspec.Raw


class _ThreeBrokers:
    """What a cluster of three says of topics that an earlier version made; none runs here."""

    def __init__(self, settings: Settings) -> None:
        self.admin, self._settings = self, settings

    def states(self, _names: list[str]) -> dict[str, TopicState]:
        topics = load_topics(self._settings.topics_file, 3)
        old = {"min.insync.replicas": "1"}
        return {
            topic.name: TopicState("id", topic.partitions, 3, {**topic.config, **old})
            for topic in topics
        }


def test_topics_of_three_replicas_that_one_may_acknowledge_are_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tidegate.broker.kafka.KafkaBroker", _ThreeBrokers)
    with pytest.raises(ConfigError, match=rf"{RAW}: min\.insync\.replicas is 1 with 3 replicas"):
        _topics(Settings(kafka="cluster:9092", replication=3))
