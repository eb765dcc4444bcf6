"""One message, written for good before anything else happens."""

from __future__ import annotations

import threading

from tidegate.broker.ports import Broker
from tidegate.errors import Retry


def write(
    broker: Broker, topic: str, key: bytes, value: bytes, *, what: str, timeout: float = 30.0
) -> None:
    """Write one message; returns when it is durable. Raises Retry, which calls it `what`."""
    done = threading.Event()
    faults: list[Exception | None] = []

    def delivered(fault: Exception | None) -> None:
        faults.append(fault)
        done.set()

    producer = broker.producer()
    try:
        producer.produce(topic, key, value, delivered)
        producer.flush(timeout)
        if not done.wait(timeout) or faults[0] is not None:
            raise Retry(f"{what} is not durable: {faults[0] if faults else 'no answer from Kafka'}")
    finally:
        producer.close()
