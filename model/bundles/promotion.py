"""Which bundle is champion, shadow or canary.

Each is a message on the compacted topic `models`, so that every scorer sees the same.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import msgspec

from tidegate.broker.ports import Broker
from tidegate.broker.write import write
from tidegate.errors import ConfigError, Retry
from tidegate.messages.documents import (
    Canary,
    Champion,
    ModelMessage,
    Prepare,
    Shadow,
    decode_model,
    encode,
)
from tidegate.messages.heartbeats import Heartbeat
from tidegate.messages.policy import AppliedPolicy
from tidegate.pipeline import MODELS, PROMOTIONS

if TYPE_CHECKING:
    from tidegate.status.heartbeats import heartbeats

Message = TypeVar("Message", Champion, Prepare, Shadow, Canary, AppliedPolicy)
Scorers = Callable[[], list[Heartbeat]]
_LOOK = 0.1
"""Seconds between two looks at the scorers' heartbeats."""


class Promoted(NamedTuple):
    """The newest champion message and its offset on the models topic."""

    champion: Champion
    offset: int


class Unloadable(ConfigError):
    """A scorer cannot load the bundle that was to be promoted; the champion stays."""


class Unanswered(Retry):
    """A scorer has not said that it has loaded the bundle; the champion stays."""


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
    broker: Broker,
    bundle: str,
    profile: str,
    *,
    by: str,
    timeout: float = 30.0,
    scorers: Scorers | None = None,
) -> Promoted:
    """Make a bundle the champion of its profile (hash); the message is durable when this returns.

    The living `scorers` load it first; None: they are not asked. A bundle that is the champion
    already stays so, without a new message. Raises Retry; Unloadable and Unanswered when nothing
    has changed because of a scorer.
    """
    current = current_champion(broker, profile, timeout=timeout)
    if current is not None and current.champion.bundle == bundle:
        return current
    if scorers is not None:
        _prepare(broker, bundle, profile, scorers, by, timeout)
        if current_champion(broker, profile, timeout=timeout) != current:
            raise Unanswered(f"{bundle} is not promoted: another bundle was promoted meanwhile")
    previous = current.champion.bundle if current else ""
    champion = Champion(bundle, profile, time.time_ns() // 1000, by, previous)
    key, what = role_key("champion", profile), f"the promotion of {bundle}"
    _write(broker, key, champion, what, timeout)
    promoted = current_champion(broker, profile, timeout=timeout)
    if promoted is None or promoted.champion.bundle != bundle:
        raise Retry(
            f"{bundle} was promoted, but another promotion came right after it: look at `tidegate "
            "models list`"
        )
    return promoted


def promote_by_all(
    beats: heartbeats, broker: Broker, bundle: str, profile: str, *, by: str, timeout: float = 30.0
) -> Promoted:
    """As `promote`, by all scorers that are heard on topic status once it is read."""
    beats.wait(timeout)
    return promote(broker, bundle, profile, by=by, timeout=timeout, scorers=beats.scorers)


def _prepare(
    broker: Broker, bundle: str, profile: str, scorers: Scorers, by: str, timeout: float
) -> None:
    """Returns when all scorers have loaded the bundle. Raises Unloadable, Unanswered, Retry."""
    order = Prepare(bundle, profile, time.time_ns() // 1000, by)
    key, what = role_key("prepare", profile), f"the order to load {bundle}"
    write(broker, MODELS, key, encode(order), what=what, timeout=timeout)
    newest = newest_message(broker, Prepare, profile, timeout)
    if newest is None or newest[0] != order:
        raise _overtaken(bundle)
    try:
        _await_scorers(bundle, newest[1], scorers, timeout)
    except (Unloadable, Unanswered):
        withdrawn = encode(Prepare("", profile, time.time_ns() // 1000, by))
        write(broker, MODELS, key, withdrawn, what=f"the end of {what}", timeout=timeout)
        raise


def _await_scorers(bundle: str, offset: int, scorers: Scorers, timeout: float) -> None:
    deadline = time.monotonic() + timeout
    while silent := unanswered(scorers(), bundle, offset):
        if time.monotonic() > deadline:
            raise Unanswered(
                f"{bundle} is not promoted: {', '.join(silent)} did not load it within "
                f"{timeout:g} s. See the logs, or promote it without asking the scorers by "
                "`tidegate models promote --wait 0`"
            )
        time.sleep(_LOOK)


def unanswered(scorers: list[Heartbeat], bundle: str, offset: int) -> list[str]:
    """The scorers that have not read the order at `offset` to load `bundle`.

    One that has read it and does not answer is of another profile, or of a version that knows no
    such order: nothing is asked of it. Raises Unloadable when one cannot load the bundle, Retry
    when there is a newer order.
    """
    answers = [(beat.process, beat.prepared) for beat in scorers if beat.prepared]
    if any(prepared.offset > offset for _, prepared in answers):
        raise _overtaken(bundle)
    if faults := [
        f"{process} cannot load it: {prepared.fault}"
        for process, prepared in answers
        if prepared.offset == offset and prepared.fault and not prepared.loading
    ]:
        raise Unloadable(
            f"{bundle} is not promoted, the champion stays: {'; '.join(faults)}. Mend that, or "
            "promote it without asking the scorers by `tidegate models promote --wait 0`"
        )
    loading = {process for process, prepared in answers if prepared.loading}
    return [
        beat.process for beat in scorers if beat.models_offset <= offset or beat.process in loading
    ]


def _overtaken(bundle: str) -> Retry:
    return Retry(f"{bundle} is not promoted: another promotion began right after this one")


def set_shadow(broker: Broker, bundle: str, profile: str, *, by: str) -> None:
    """Let a bundle score beside the champion of a profile (hash), or none (empty).

    The message is durable when this returns. Raises Retry.
    """
    shadow = Shadow(bundle, profile, time.time_ns() // 1000, by)
    key, what = role_key("shadow", profile), f"the shadow {bundle or '(none)'}"
    _write(broker, key, shadow, what)


def set_canary(broker: Broker, bundle: str, profile: str, share: float, *, by: str) -> None:
    """Let a bundle decide for a share of a profile's (hash) accounts; empty: for none.

    The message is durable when this returns. Raises Retry.
    """
    canary = Canary(bundle, profile, share, time.time_ns() // 1000, by)
    key, what = role_key("canary", profile), f"the canary {bundle or '(none)'}"
    _write(broker, key, canary, what)


def _write(
    broker: Broker,
    key: bytes,
    message: Champion | Shadow | Canary,
    what: str,
    timeout: float = 30.0,
) -> None:
    """To the history first: what is told there may come to nothing, but nothing is done untold."""
    for topic in (PROMOTIONS, MODELS):
        write(broker, topic, key, encode(message), what=what, timeout=timeout)


def current_champion(broker: Broker, profile: str, *, timeout: float = 30.0) -> Promoted | None:
    """The newest champion of a profile (hash), or None.

    Raises ConfigError when there is no topic, Retry after `timeout` s.
    """
    newest = newest_message(broker, Champion, profile, timeout)
    return None if newest is None else Promoted(*newest)


def current_shadow(
    broker: Broker, profile: str, *, timeout: float = 30.0
) -> tuple[Shadow, int] | None:
    """The shadow of a profile (hash) and the offset of its message, or None.

    Raises as `current_champion` does.
    """
    newest = newest_message(broker, Shadow, profile, timeout)
    return newest if newest and newest[0].bundle else None


def current_canary(
    broker: Broker, profile: str, *, timeout: float = 30.0
) -> tuple[Canary, int] | None:
    """The canary of a profile (hash) and the offset of its message, or None.

    Raises as `current_champion` does.
    """
    newest = newest_message(broker, Canary, profile, timeout)
    return newest if newest and newest[0].bundle else None


def newest_message(
    broker: Broker, kind: type[Message], profile: str, timeout: float
) -> tuple[Message, int] | None:
    """The newest message of a kind for a profile (hash), and its offset.

    Raises ConfigError when there is no topic, Retry after `timeout` s.
    """
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
