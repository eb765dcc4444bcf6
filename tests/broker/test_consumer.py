"""A consumer after a fatal error of librdkafka, which stays out of its group from then on.

The broker is librdkafka's own, inside of this process.
"""

from __future__ import annotations

import logging
import threading

import confluent_kafka as ck
import pytest
from confluent_kafka import KafkaError

from tests.support import eventually
from tidegate.broker.kafka import consumer as module
from tidegate.broker.kafka.config import consumer_error
from tidegate.broker.kafka.consumer import KafkaConsumer
from tidegate.broker.records import TopicPartition
from tidegate.errors import Broken, Fenced, Retry

CONFIG: dict[str, object] = {
    "bootstrap.servers": "inside",
    "test.mock.num.brokers": 1,
    "group.id": "group",
    "log_level": 0,
}
FATAL = KafkaError(KafkaError.FENCED_INSTANCE_ID, "fenced", fatal=True)


def test_a_fatal_error_is_raised_by_the_next_poll_and_every_one_after_it() -> None:
    noted: list[KafkaError] = []
    consumer = KafkaConsumer({**CONFIG, "error_cb": noted.append})
    consumer._noted(KafkaError(KafkaError._TRANSPORT))  # as librdkafka calls it, while it polls
    assert consumer.poll(1, 0) == []
    consumer._noted(FATAL)
    for _ in range(2):
        with pytest.raises(Broken, match="for good: fenced"):
            consumer.poll(1, 0)
    assert noted[-1] is FATAL
    consumer.close()


@pytest.mark.parametrize("fatal", [FATAL, KafkaError(KafkaError._FATAL)])
def test_a_fatal_error_is_no_reason_to_try_again(fatal: KafkaError) -> None:
    assert isinstance(consumer_error(fatal, "poll"), Broken)
    assert isinstance(consumer_error(KafkaError(KafkaError.FENCED_INSTANCE_ID), "poll"), Fenced)


@pytest.mark.parametrize("code", [KafkaError._TRANSPORT, KafkaError._TIMED_OUT])
def test_where_kafka_does_not_answer_it_says_what_to_do(code: int) -> None:
    with pytest.raises(Retry, match=r"^bounds: .*: try again in a moment; `tidegate doctor`"):
        raise consumer_error(KafkaError(code), "bounds")


class Hanging(ck.Consumer):
    """One that waits for a group that it is no member of."""

    def close(self) -> None:
        threading.Event().wait()


def test_a_consumer_that_never_closes_keeps_nobody(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "_CLOSE_SECONDS", 0.1)
    consumer = KafkaConsumer(CONFIG)
    consumer.client.close()
    consumer.client = Hanging(CONFIG)
    with caplog.at_level(logging.ERROR):
        consumer.close()
    assert "did not close" in caplog.text


def test_a_client_that_cannot_be_asked_is_replaced_where_nobody_waits_for_it_in_a_group() -> None:
    """One of librdkafka does not always find its broker again; here it never could."""
    made: list[ck.Consumer] = []
    producer = ck.Producer({**CONFIG, "client.id": "cluster"})
    (broker,) = producer.list_topics(timeout=10).brokers.values()
    producer.produce("topic", b"value", partition=0)
    producer.flush(10)
    addresses = iter(["127.0.0.1:1", f"{broker.host}:{broker.port}"])

    def make(config: dict[str, object]) -> ck.Consumer:
        made.append(ck.Consumer({**config, "bootstrap.servers": next(addresses)}))
        return made[-1]

    alone = {name: CONFIG[name] for name in ("group.id", "log_level")}
    consumer = KafkaConsumer({**alone, "auto.offset.reset": "earliest"}, make)
    source = TopicPartition("topic", 0)
    consumer.assign({source: 0})
    with pytest.raises(Retry, match="partitions"):
        consumer.partitions("topic")
    assert source in consumer.partitions("topic")
    assert consumer.bounds(source) == (0, 1)
    values = [value for batch in consumer.poll(1, 10) for value in batch.values]
    assert (len(made), values) == (2, [b"value"]), "it reads on where it was"
    consumer.close()


def test_a_partition_sought_right_after_its_assignment_is_read_from_there_to_its_end() -> None:
    """At the end, where it once waited, it was found again when librdkafka had asked for that."""
    records = 40
    producer = ck.Producer({**CONFIG, "test.mock.broker.rtt": 100, "batch.num.messages": 1})
    (broker,) = producer.list_topics(timeout=10).brokers.values()
    for _ in range(records):
        producer.produce("topic", b"value" * 20, partition=0)
    assert producer.flush(10) == 0
    alone = {name: CONFIG[name] for name in ("group.id", "log_level")}
    address = {"bootstrap.servers": f"{broker.host}:{broker.port}"}
    consumer = KafkaConsumer({**alone, **address, "fetch.message.max.bytes": 500})
    source = TopicPartition("topic", 0)
    consumer.subscribe("topic", lambda _: {}, lambda _: None)
    eventually(lambda: consumer.poll(1, 0.01) == [] and source in consumer._fetching.assigned, 30)
    consumer.seek(source, 5)
    consumer.resume([source])
    offsets: list[int] = []

    def all_read() -> bool:
        offsets.extend(offset for batch in consumer.poll(10, 0.1) for offset in batch.offsets)
        return len(offsets) == records - 5

    eventually(all_read, 30)
    assert offsets == list(range(5, records))
    consumer.close()
