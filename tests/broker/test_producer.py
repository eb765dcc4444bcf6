"""A producer after a fatal error of librdkafka, which takes no record any more.

The broker is librdkafka's own, inside of this process; the first client has failed for good.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from contextlib import closing

import confluent_kafka as ck
import pytest
from confluent_kafka import KafkaError, KafkaException

from tests.support import eventually
from tidegate.broker.kafka.consumer import KafkaConsumer
from tidegate.broker.kafka.producer import KafkaProducer, KafkaTransactions
from tidegate.broker.records import Position, TopicPartition
from tidegate.errors import Aborted, Retry

CONFIG: dict[str, object] = {
    "bootstrap.servers": "inside",
    "test.mock.num.brokers": 1,
    "enable.idempotence": True,
    "message.timeout.ms": 8000,
}
FATAL = KafkaError(KafkaError._FATAL, "out of order sequence number", fatal=True)


class Refusing(ck.Producer):
    """What a call of a client with a fatal error does."""

    def produce(self, *_: object, **__: object) -> None:
        raise KafkaException(FATAL)


def clients(first: type[ck.Producer], made: list[ck.Producer]) -> Callable[..., ck.Producer]:
    def make(config: dict[str, object]) -> ck.Producer:
        made.append(ck.Producer(config) if made else first(config))
        return made[-1]

    return make


def delivered(producer: KafkaProducer) -> bool:
    done, faults = threading.Event(), list[Exception | None]()

    def report(fault: Exception | None) -> None:
        faults.append(fault)
        done.set()

    producer.produce_all("topic", [(b"k", b"v")], report)
    return done.wait(20) and faults == [None]


def test_a_producer_that_refuses_every_record_is_replaced(
    caplog: pytest.LogCaptureFixture,
) -> None:
    made: list[ck.Producer] = []
    producer = KafkaProducer(CONFIG, clients(Refusing, made))
    with caplog.at_level(logging.ERROR):
        with pytest.raises(Retry, match="out of order"):
            producer.produce("topic", b"k", b"v", print)
        eventually(lambda: len(made) == 2)
    assert delivered(producer)
    assert "a new one takes its place" in caplog.text
    producer.close()


def test_what_the_old_client_held_is_reported_as_undelivered() -> None:
    made: list[ck.Producer] = []
    nowhere = {**CONFIG, "test.mock.num.brokers": 0, "bootstrap.servers": "127.0.0.1:1"}
    first = True

    def make(config: dict[str, object]) -> ck.Producer:
        nonlocal first
        made.append(ck.Producer(nowhere | {"error_cb": config["error_cb"]} if first else config))
        first = False
        return made[-1]

    producer, faults = KafkaProducer(CONFIG, make), list[Exception | None]()
    producer.produce("topic", b"k", b"held", faults.append)
    producer._noted(FATAL)  # as librdkafka calls it, from the thread that polls
    eventually(lambda: len(faults) == 1)
    assert isinstance(faults[0], Retry)
    assert delivered(producer)
    assert len(made) == 2
    producer.close()


class Hanging(ck.Producer):
    """What librdkafka does now and then when its broker is started anew."""

    def send_offsets_to_transaction(self, *_: object, **__: object) -> None:
        threading.Event().wait()


def test_a_transactional_call_that_never_comes_back_is_given_up() -> None:
    """And the next producer of the same id goes on, whose first call ends what the old one left."""
    config = {**CONFIG, "transactional.id": "t", "test.mock.num.brokers": 1}
    group = KafkaConsumer({"bootstrap.servers": "127.0.0.1:1", "group.id": "g", "log_level": 0})
    hanging = KafkaTransactions(config, Hanging, seconds=0.5)
    hanging.begin()
    with pytest.raises(Aborted, match="no answer from librdkafka") as raised:
        hanging.send_offsets(group, {TopicPartition("topic", 0): Position(1)})
    assert raised.value.rebuild
    hanging.close()
    with closing(KafkaTransactions(config)) as after:
        after.begin()
        after.commit()
    group.close()
