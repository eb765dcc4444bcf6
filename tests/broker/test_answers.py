"""What a producer is told when Kafka refuses a record."""

from __future__ import annotations

from confluent_kafka import KafkaError

from tidegate.broker.kafka.producer import undelivered
from tidegate.errors import Retry


def test_a_clock_that_is_wrong_is_named() -> None:
    error = undelivered(KafkaError(KafkaError.INVALID_TIMESTAMP))
    assert isinstance(error, Retry)
    assert "this machine's clock" in str(error)
    assert "tidegate topics apply" in str(error)
