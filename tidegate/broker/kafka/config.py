"""Settings of librdkafka's clients, and what its errors mean to us."""

from __future__ import annotations

import logging
from typing import Any

from confluent_kafka import KafkaError, KafkaException

from tidegate.errors import Aborted, Broken, ConfigError, Fenced, Retry, TidegateError
from tidegate.settings import Settings

_log = logging.getLogger("tidegate.broker.kafka")

FENCED = frozenset(
    {
        KafkaError._FENCED,
        KafkaError.PRODUCER_FENCED,
        KafkaError.INVALID_PRODUCER_EPOCH,
        KafkaError.FENCED_INSTANCE_ID,
    }
)
_SILENT = frozenset({KafkaError._TRANSPORT, KafkaError._TIMED_OUT, KafkaError._ALL_BROKERS_DOWN})
DENIED = frozenset(
    {
        KafkaError._AUTHENTICATION,
        KafkaError.SASL_AUTHENTICATION_FAILED,
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.GROUP_AUTHORIZATION_FAILED,
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,
        KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
        KafkaError._SSL,
        KafkaError.UNSUPPORTED_SASL_MECHANISM,
    }
)
MAX_MESSAGE = 8_000_000
"""Largest message in bytes that a client sends; the topic's own limit may be lower."""
TRANSACTION_MS = 10_000


def client(settings: Settings, name: str) -> dict[str, Any]:
    """What all clients share.

    The back-off times decide the latency: librdkafka's own cost 100 ms a commit.
    """
    config: dict[str, Any] = {
        "bootstrap.servers": settings.kafka_address,
        "client.id": name,
        "security.protocol": settings.kafka_security,
        "retry.backoff.ms": 2,
        "retry.backoff.max.ms": 10,
        "reconnect.backoff.ms": 50,
        "reconnect.backoff.max.ms": 1000,
        "socket.nagle.disable": True,
        "allow.auto.create.topics": False,
        "error_cb": _note,
        "log_level": 3,
        "logger": _log,
    }
    if settings.kafka_ca is not None:
        config["ssl.ca.location"] = str(settings.kafka_ca)
    if settings.kafka_security.startswith("SASL"):
        config |= {
            "sasl.mechanism": settings.kafka_mechanism,
            "sasl.username": settings.kafka_user,
            "sasl.password": settings.kafka_password.get_secret_value(),
        }
    return config


def consumer(settings: Settings, group: str, instance: str | None, *, reset: str) -> dict[str, Any]:
    """Committed records only, positions kept by us, eager assignment, and each end an event.

    `reset`: what to do at an offset that the log does not have, `earliest` or `error`.
    """
    config = client(settings, group) | {
        "group.id": group,
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "auto.offset.reset": reset,
        "isolation.level": "read_committed",
        "partition.assignment.strategy": "range",
        "session.timeout.ms": 8000,
        "heartbeat.interval.ms": 1000,
        "fetch.wait.max.ms": 100,
        "fetch.error.backoff.ms": 10,
        "fetch.queue.backoff.ms": 5,
        "queued.min.messages": 100_000,
        "queued.max.messages.kbytes": 65_536,
        "enable.partition.eof": True,
    }
    if instance:
        config["group.instance.id"] = instance
    return config


def watcher(settings: Settings, group: str) -> dict[str, Any]:
    """As a consumer, but told positions without those of open transactions (KIP-447)."""
    unstable = {"isolation.level": "read_uncommitted"}
    return consumer(settings, group, None, reset="error") | unstable


def follower(settings: Settings, group: str) -> dict[str, Any]:
    """As a consumer, but an idle topic is asked once a second.

    The broker answers as soon as there is a record. Ten requests a second of each process cost as
    much as a tenth of its work; a consumer whose assignment changes would have to wait for them.
    """
    return consumer(settings, group, None, reset="earliest") | {"fetch.wait.max.ms": 1000}


def producer(settings: Settings) -> dict[str, Any]:
    """Idempotent, all replicas, Java's partitioner.

    5 ms of linger halve the requests that single posts make.
    """
    return client(settings, "tidegate-producer") | {
        "enable.idempotence": True,
        "acks": "all",
        "linger.ms": 5,
        "partitioner": "murmur2_random",
        "message.max.bytes": MAX_MESSAGE,
        "queue.buffering.max.messages": 200_000,
        "queue.buffering.max.kbytes": 262_144,
        "message.timeout.ms": 8000,
    }


def transactional(settings: Settings, transactional_id: str) -> dict[str, Any]:
    """As `producer`; failures surface at the commit, so successes are not reported one by one.

    The commit flushes whatever lingers, so waiting costs no latency, and a transaction is few
    requests.
    """
    return producer(settings) | {
        "transactional.id": transactional_id,
        "transaction.timeout.ms": TRANSACTION_MS,
        "linger.ms": 100,
        "delivery.report.only.error": True,
        "compression.type": "lz4",
    }


def error_of(error: BaseException) -> KafkaError | None:
    """The KafkaError inside of an exception of confluent_kafka."""
    cause = error.args[0] if error.args else None
    return cause if isinstance(cause, KafkaError) else None


def is_fatal(error: KafkaError | None) -> bool:
    """Whether the client that says so does nothing any more."""
    return error is not None and (error.fatal() or error.code() == KafkaError._FATAL)


def transaction_error(exception: KafkaException, call: str) -> TidegateError:
    """What to raise after a transactional call failed.

    librdkafka lacks KIP-890, so an outcome that is not clear costs the producer: a new one with the
    same id first ends what the old one left behind.
    """
    error = error_of(exception)
    if error is None:
        return Aborted(f"{call}: {exception}", rebuild=True)
    if error.code() in FENCED:
        return Fenced(f"{call}: {error.str()}")
    if error.code() in DENIED:
        return ConfigError(
            f"{call}: {error.str()}: check TIDEGATE_KAFKA_USER and the cluster's ACLs"
        )
    return Aborted(f"{call}: {error.str()}", rebuild=not error.txn_requires_abort())


def consumer_error(error: KafkaError, call: str) -> TidegateError:
    """What to raise after a consumer's call failed."""
    if is_fatal(error):
        return Broken(f"{call}: the consumer failed for good: {error.str()}")
    if error.code() in FENCED:
        return Fenced(f"{call}: {error.str()}")
    if error.code() in DENIED:
        return ConfigError(f"{call}: {error.str()}: check TIDEGATE_KAFKA_* and the cluster's ACLs")
    if error.code() in (
        KafkaError.UNKNOWN_TOPIC_OR_PART,
        KafkaError._UNKNOWN_TOPIC,
        KafkaError._UNKNOWN_PARTITION,
    ):
        return Retry(
            f"{call}: {error.str()}: the broker is starting, or the topic is gone (`tidegate "
            "topics check`)"
        )
    if error.code() in _SILENT:
        return Retry(
            f"{call}: {error.str()}: Kafka is away, or too busy to answer: try again in a moment; "
            "`tidegate doctor` says whether it answers"
        )
    return Retry(f"{call}: {error.str()}")


def raised_by_consumer(exception: KafkaException, call: str) -> TidegateError:
    """The same, where it was raised."""
    error = error_of(exception)
    return Retry(f"{call}: {exception}") if error is None else consumer_error(error, call)


def _note(error: KafkaError) -> None:
    _log.warning("kafka: %s", error.str())
