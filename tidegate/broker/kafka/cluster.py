"""One Kafka cluster: makes its clients, and says clearly why it cannot be reached."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from functools import cached_property

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient

from tidegate.broker.blocks import BlockConsumer
from tidegate.broker.kafka import config
from tidegate.broker.kafka.admin import Admin
from tidegate.broker.kafka.consumer import KafkaConsumer
from tidegate.broker.kafka.producer import KafkaProducer, KafkaTransactions
from tidegate.errors import ConfigError
from tidegate.settings import Settings


class KafkaBroker:
    """Implements `tidegate.broker.ports.Broker`. Make it and its clients after a fork."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def check(self, timeout: float = 10.0) -> None:
        """Raises ConfigError with the likely mend when the cluster does not answer in time.

        For commands a person starts. A supervised process does without: it waits until the broker
        is back.
        """
        errors: list[KafkaError] = []
        admin = None
        try:
            admin = AdminClient(
                config.client(self._settings, "tidegate-check") | {"error_cb": errors.append}
            )
            admin.list_topics(timeout=timeout)
        except KafkaException as exception:
            if admin is not None:
                admin.poll(0)  # tells error_cb what went wrong on the way
            raise ConfigError(self._why(errors, exception)) from exception

    def consumer(self, group: str | None, *, instance: str | None = None) -> BlockConsumer:
        reset = "error" if group else "earliest"
        settings = config.consumer(self._settings, group or _reader(), instance, reset=reset)
        return BlockConsumer(KafkaConsumer(settings))

    def watcher(self, group: str) -> BlockConsumer:
        return BlockConsumer(KafkaConsumer(config.watcher(self._settings, group)))

    def follower(self) -> BlockConsumer:
        return BlockConsumer(KafkaConsumer(config.follower(self._settings, _reader())))

    def transactional_producer(self, transactional_id: str) -> KafkaTransactions:
        return KafkaTransactions(config.transactional(self._settings, transactional_id))

    def producer(self) -> KafkaProducer:
        return KafkaProducer(config.producer(self._settings))

    def cluster_id(self) -> str:
        return self.admin.cluster_id()

    def topic_ids(self, topics: Sequence[str]) -> dict[str, tuple[str, int]]:
        return self.admin.topic_ids(topics)

    @cached_property
    def admin(self) -> Admin:
        """For `tidegate topics` and for look-ups."""
        return Admin(config.client(self._settings, "tidegate-admin"))

    def _why(self, errors: Sequence[KafkaError], exception: KafkaException) -> str:
        # One of each kind: it tried many times.
        messages = {error.code(): error.str() for error in errors}
        if len(messages) > 1:
            messages.pop(KafkaError._ALL_BROKERS_DOWN, None)
        codes = messages.keys()
        cause = "; ".join(messages.values()) or str(exception)
        if codes & {KafkaError._AUTHENTICATION, KafkaError.SASL_AUTHENTICATION_FAILED}:
            mend = "check TIDEGATE_KAFKA_USER, TIDEGATE_KAFKA_PASSWORD and TIDEGATE_KAFKA_MECHANISM"
        elif KafkaError._SSL in codes or "ssl" in str(exception).lower():
            mend = "check TIDEGATE_KAFKA_CA and TIDEGATE_KAFKA_SECURITY"
        elif KafkaError._RESOLVE in codes:
            mend = "the host name is not known; check TIDEGATE_KAFKA"
        else:
            mend = "check that it runs, and TIDEGATE_KAFKA and TIDEGATE_KAFKA_SECURITY"
        address = self._settings.kafka_address
        return f"no answer from Kafka at {address}: {cause}. {mend[0].upper()}{mend[1:]}."


def _reader() -> str:
    return f"tidegate-reader-{uuid.uuid4().hex[:12]}"
