from __future__ import annotations

import time
import uuid
from dataclasses import replace
from pathlib import Path

import confluent_kafka as ck
import pytest
from pydantic import SecretStr

from tests.support import eventually
from tidegate.broker.kafka import KafkaBroker
from tidegate.broker.kafka.admin import TopicState
from tidegate.errors import ConfigError
from tidegate.host.embedded import free_port
from tidegate.settings import Settings
from tidegate.stream.side_topic import read_partition
from tidegate.topics import (
    apply_topics,
    check_compaction,
    check_topics,
    in_sync_fault,
    load_topics,
)

ROOT = Path(__file__).parents[2]

DEFAULTS = (
    "defaults: {partitions: 2, replication: 1, retention: 7d, cleanup: delete, max_bytes: 2000}\n"
)


def test_apply_creates_once_and_check_agrees(kafka: str) -> None:
    broker, listed = KafkaBroker(Settings(kafka=kafka)), load_topics(ROOT / "topics.yaml")
    topics = [replace(topic, name=f"{topic.name}-{uuid.uuid4().hex[:8]}") for topic in listed]
    assert apply_topics(broker, topics) == [topic.name for topic in topics]
    assert apply_topics(broker, topics) == []
    eventually(lambda: check_topics(broker, topics) == [])


def test_check_names_each_difference(kafka: str, tmp_path: Path) -> None:
    broker, file = KafkaBroker(Settings(kafka=kafka)), tmp_path / "topics.yaml"
    text = DEFAULTS + "topics:\n  check-a: {key: k, message: m}\n  check-b: {key: k, message: m}\n"
    file.write_text(text)
    apply_topics(broker, load_topics(file)[:1])
    eventually(lambda: "check-a" in broker.topic_ids(["check-a"]))
    file.write_text(text.replace("7d", "1h").replace("partitions: 2", "partitions: 3"))
    assert check_topics(broker, load_topics(file)) == [
        "check-a: partitions is 2, the list says 3",
        "check-a: retention.ms is 604800000, the list says 3600000",
        "check-b: does not exist; `tidegate topics apply` creates it",
    ]


def test_the_broker_stamps_what_others_write(kafka: str, tmp_path: Path) -> None:
    """A producer that stamps 0 does not switch the check of event times off."""
    broker, file, name = KafkaBroker(Settings(kafka=kafka)), tmp_path / "t.yaml", "check-stamped"
    file.write_text(DEFAULTS + f"topics:\n  {name}: {{key: k, message: m}}\n")
    listed = load_topics(file)
    foreign = {**listed[0].config, "message.timestamp.type": "CreateTime"}
    broker.admin.create(name, 2, 1, foreign)
    eventually(lambda: name in broker.topic_ids([name]))
    assert "is CreateTime, the list says LogAppendTime" in check_topics(broker, listed)[0]
    assert apply_topics(broker, listed) == []
    eventually(lambda: check_topics(broker, listed) == [])
    stamps: list[int] = []
    producer = ck.Producer({"bootstrap.servers": kafka})

    def delivered(error: ck.KafkaError | None, message: ck.Message) -> None:
        assert error is None
        stamps.append(message.timestamp()[1])

    producer.produce(name, b"v", timestamp=1, on_delivery=delivered)
    producer.flush(10)
    assert abs(stamps[0] / 1000 - time.time()) < 3600


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("defaults: [", "while parsing"),
        (DEFAULTS, "topics"),
        (DEFAULTS.replace("partitions: 2", "partitions: 0") + "topics: {}", "partitions"),
        (DEFAULTS.replace("7d", "7w") + "topics: {}", "retention"),
    ],
)
def test_a_wrong_list_is_refused_with_file_and_place(text: str, said: str, tmp_path: Path) -> None:
    file = tmp_path / "topics.yaml"
    file.write_text(text)
    with pytest.raises(ConfigError, match=said) as caught:
        load_topics(file)
    assert str(file) in str(caught.value)


COMPACT = (
    "defaults: {partitions: 1, replication: 1, retention: 7d, cleanup: compact, max_bytes: 2000"
)


def test_compacted_topics_have_segments_that_compaction_reaches(kafka: str, tmp_path: Path) -> None:
    """Also those that an earlier version made."""
    broker, file = KafkaBroker(Settings(kafka=kafka)), tmp_path / "topics.yaml"
    name = f"compact-{uuid.uuid4().hex[:8]}"
    file.write_text(f"{COMPACT}}}\ntopics: {{{name}: {{key: k, message: m}}}}\n")
    (topic,) = load_topics(file)
    broker.admin.create(name, 1, 1, {"cleanup.policy": "compact"})
    eventually(lambda: name in broker.topic_ids([name]))
    faults = check_compaction(broker, [topic])
    assert [fault.split(" is ")[0] for fault in faults] == [
        f"{name}: {setting}"
        for setting in (
            "segment.ms",
            "segment.bytes",
            "min.cleanable.dirty.ratio",
            "delete.retention.ms",
        )
    ]
    apply_topics(broker, [topic])
    eventually(lambda: check_compaction(broker, [topic]) == [])
    config = broker.admin.states([name])[name].config
    assert (config["segment.ms"], config["segment.bytes"]) == ("600000", "16000000")
    assert (config["min.cleanable.dirty.ratio"], config["delete.retention.ms"]) == (
        "0.1",
        "3600000",
    )


def test_the_shipped_list_compacts_models_status_and_control_and_no_log() -> None:
    listed = load_topics(ROOT / "topics.yaml")
    compacted = {topic.name for topic in listed if "segment.ms" in topic.config}
    assert compacted == {"models", "status", "control"}


def test_old_heartbeats_go(kafka: str, tmp_path: Path) -> None:
    """On a broker, with segments of a second: its cleaner looks every 15 s."""
    broker, file = KafkaBroker(Settings(kafka=kafka)), tmp_path / "topics.yaml"
    name = f"status-{uuid.uuid4().hex[:8]}"
    file.write_text(
        f"{COMPACT}, compaction: {{segment: 1s}}}}\ntopics: {{{name}: {{key: k, message: m}}}}\n"
    )
    apply_topics(broker, load_topics(file))
    eventually(lambda: name in broker.topic_ids([name]))
    producer, written = broker.producer(), 0

    def offsets() -> list[int]:
        batches = list(read_partition(broker, name, 0))
        return [offset for batch in batches for offset in batch.offsets]

    def cleaned() -> bool:
        nonlocal written
        producer.produce(name, b"process", b"beat %d" % written, lambda _error: None)
        assert producer.flush(10) == 0
        written += 1
        return len(offsets()) < written / 2

    eventually(cleaned, 90, every=0.5)
    assert offsets()[-1] == written - 1, "the newest one is there"
    producer.close()


def test_of_three_replicas_two_must_have_a_record(tmp_path: Path) -> None:
    file = tmp_path / "topics.yaml"
    file.write_text(DEFAULTS + "topics: {t: {key: k, message: m}}")
    for replication, expected in ((1, None), (2, None), (3, "2"), (5, "2")):
        (topic,) = load_topics(file, replication)
        assert topic.config.get("min.insync.replicas") == expected
    for replicas, fewest in ((3, "1"), (3, "2"), (5, "3"), (1, "1")):
        fault = in_sync_fault("t", TopicState("id", 4, replicas, {"min.insync.replicas": fewest}))
        assert ("--add-config min.insync.replicas=2" in fault) == bool(fault)
        assert bool(fault) == ((replicas, fewest) == (3, "1"))


def test_no_list() -> None:
    with pytest.raises(ConfigError, match="TIDEGATE_TOPICS_FILE"):
        load_topics(Path("/nowhere/topics.yaml"))


def test_an_unreachable_kafka_is_named() -> None:
    port = free_port()
    with pytest.raises(
        ConfigError, match=f"no answer from Kafka at 127.0.0.1:{port}.*TIDEGATE_KAFKA"
    ):
        KafkaBroker(Settings(kafka=f"127.0.0.1:{port}")).check(1)


def test_an_unknown_host_is_named() -> None:
    with pytest.raises(ConfigError, match="TIDEGATE_KAFKA"):
        KafkaBroker(Settings(kafka="no.such.host.invalid:9092")).check(2)


def test_a_missing_certificate_is_named(kafka: str) -> None:
    settings = Settings(kafka=kafka, kafka_security="SSL", kafka_ca=Path("/nowhere/ca.pem"))
    with pytest.raises(ConfigError, match="TIDEGATE_KAFKA_CA"):
        KafkaBroker(settings).check(2)


def test_tls_against_a_plain_listener_is_named(kafka: str) -> None:
    with pytest.raises(ConfigError, match="TIDEGATE_KAFKA_SECURITY"):
        KafkaBroker(Settings(kafka=kafka, kafka_security="SSL")).check(2)


def test_a_password_is_not_shown(kafka: str) -> None:
    settings = Settings(
        kafka=kafka,
        kafka_security="SASL_PLAINTEXT",
        kafka_user="me",
        kafka_password=SecretStr("hush-hush"),
    )
    with pytest.raises(ConfigError) as caught:
        KafkaBroker(settings).check(2)
    assert "hush" not in str(caught.value)
