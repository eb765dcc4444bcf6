"""Which bundle is champion, shadow or canary.

Each is a message on the compacted topic `models`, so that every scorer sees the same.
"""

from __future__ import annotations

import threading
import time
from typing import NamedTuple, TypeVar

import msgspec

from tidegate.broker.ports import Broker
from tidegate.errors import Retry
from tidegate.messages.documents import Canary, Champion, ModelMessage, Shadow, decode_model, encode
from tidegate.pipeline import MODELS

Message = TypeVar("Message", Champion, Shadow, Canary)


class Promoted(NamedTuple):
    """The newest champion message and its offset on the models topic."""

    champion: Champion
    offset: int


def model_message(value: bytes | None) -> ModelMessage | None:
    """A record of the models topic; None for a tombstone or a message of a newer version."""
    try:
        return None if value is None else decode_model(value)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def role_key(role: str, profile: str) -> bytes:
    """The key of who has a role (champion, shadow, canary) for a profile (hash).

    Each profile has its own, or compaction would leave only the newest of all profiles.
    """
    return f"{role}/{profile}".encode()


def online_key(bundle: str) -> bytes:
    """The key of a bundle's newest online weights."""
    return f"online/{bundle}".encode()


def promote(
    broker: Broker, bundle: str, profile: str, *, by: str, timeout: float = 30.0
) -> Promoted:
    """Make a bundle the champion of its profile (hash); the message is durable when this returns.

    A bundle that is the champion already stays so, without a new message. Raises Retry.
    """
    current = current_champion(broker, profile, timeout=timeout)
    if current is not None and current.champion.bundle == bundle:
        return current
    previous = current.champion.bundle if current else ""
    champion = Champion(bundle, profile, time.time_ns() // 1000, by, previous)
    write(
        broker,
        MODELS,
        role_key("champion", profile),
        encode(champion),
        what=f"the promotion of {bundle}",
        timeout=timeout,
    )
    promoted = current_champion(broker, profile, timeout=timeout)
    if promoted is None or promoted.champion.bundle != bundle:
        raise Retry(
            f"{bundle} was promoted, but another promotion came right after it: look at `tidegate "
            "models list`"
        )
    return promoted


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


def set_shadow(broker: Broker, bundle: str, profile: str, *, by: str) -> None:
    """Let a bundle score beside the champion of a profile (hash), or none (empty).

    The message is durable when this returns. Raises Retry.
    """
    shadow = Shadow(bundle, profile, time.time_ns() // 1000, by)
    key, what = role_key("shadow", profile), f"the shadow {bundle or '(none)'}"
    write(broker, MODELS, key, encode(shadow), what=what)


def set_canary(broker: Broker, bundle: str, profile: str, share: float, *, by: str) -> None:
    """Let a bundle decide for a share of a profile's (hash) accounts; empty: for none.

    The message is durable when this returns. Raises Retry.
    """
    canary = Canary(bundle, profile, share, time.time_ns() // 1000, by)
    key, what = role_key("canary", profile), f"the canary {bundle or '(none)'}"
    write(broker, MODELS, key, encode(canary), what=what)


def current_champion(broker: Broker, profile: str, *, timeout: float = 30.0) -> Promoted | None:
    """The newest champion of a profile (hash), or None.

    Raises ConfigError when there is no topic, Retry after `timeout` s.
    """
    newest = _newest(broker, Champion, profile, timeout)
    return None if newest is None else Promoted(*newest)


def current_shadow(
    broker: Broker, profile: str, *, timeout: float = 30.0
) -> tuple[Shadow, int] | None:
    """The shadow of a profile (hash) and the offset of its message, or None.

    Raises as `current_champion` does.
    """
    newest = _newest(broker, Shadow, profile, timeout)
    return newest if newest and newest[0].bundle else None


def current_canary(
    broker: Broker, profile: str, *, timeout: float = 30.0
) -> tuple[Canary, int] | None:
    """The canary of a profile (hash) and the offset of its message, or None.

    Raises as `current_champion` does.
    """
    newest = _newest(broker, Canary, profile, timeout)
    return newest if newest and newest[0].bundle else None


def _newest(
    broker: Broker, kind: type[Message], profile: str, timeout: float
) -> tuple[Message, int] | None:
    consumer = broker.consumer(None)
    try:
        (source,) = consumer.partitions(MODELS)
        first, end = consumer.bounds(source)
        consumer.assign({source: first})
        newest: tuple[Message, int] | None = None
        deadline = time.monotonic() + timeout
        position = first
        while position < end:
            if time.monotonic() > deadline:
                raise Retry(
                    f"the topic {MODELS} could not be read up to offset {end} within {timeout:g} s"
                )
            for batch in consumer.poll(1000, 0.2):
                for offset, value in zip(batch.offsets, batch.values, strict=True):
                    message = model_message(value)
                    if isinstance(message, kind) and message.profile == profile:
                        newest = message, offset
            position = consumer.position(source) or first
        return newest
    finally:
        consumer.close()
