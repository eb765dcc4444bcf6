"""What becomes of an event: which channels tell it, at once or later. No I/O, no clock."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Literal, NamedTuple

from tidegate.notify.config import Channel, Config, Quiet, Throttle
from tidegate.notify.events import Event

State = Literal["pending", "held", "sent", "failed", "suppressed", "grouped"]
"""pending: to be sent now. held: to be sent later, with others. grouped: sent within another."""
STATES: tuple[State, ...] = ("pending", "held", "sent", "failed", "suppressed", "grouped")


class Placed(NamedTuple):
    """An event on its way to a channel.

    `due_us`: when a held one is to be told, with all of its `group`. `why`: of what is not told at
    once.
    """

    id: str
    channel: str
    event: Event
    state: State
    due_us: int
    group: str
    urgent: bool
    why: str = ""


@dataclass(frozen=True, slots=True)
class Past:
    """What has been before: messages of each channel in its present span, and what is muted.

    `muted`: until when, by `channel/NAME` or `kind/NAME`.
    """

    used: Mapping[str, int] = field(default_factory=dict)
    muted: Mapping[str, int] = field(default_factory=dict)


def delivery_id(channel: str, key: str) -> str:
    """The id of what is told of the event with this key by a channel."""
    text = f"{channel}\0{key}".encode("utf-8", "surrogatepass")
    return f"msg_{hashlib.blake2b(text, digest_size=15).hexdigest()}"


def plan(config: Config, past: Past, events: Iterable[Event], now_us: int) -> list[Placed]:
    """Where each event goes: one entry for each channel that a route names."""
    used = Counter(past.used)
    placed: list[Placed] = []
    for event in events:
        for name, urgent in _channels(config, event).items():
            found = _place(config.channels[name], past, used[name], event, now_us, urgent=urgent)
            used[name] += found.state == "pending"
            placed.append(found)
    return placed


def _channels(config: Config, event: Event) -> dict[str, bool]:
    """The channels that tell of an event, in the order of the routes, and whether it is urgent."""
    channels: dict[str, bool] = {}
    for route in config.routes:
        if route.takes(event):
            for name in route.channels:
                channels[name] = channels.get(name, False) or route.urgent
    return channels


def _place(
    channel: Channel, past: Past, used: int, event: Event, now_us: int, *, urgent: bool
) -> Placed:
    name = delivery_id(channel.name, event.key)

    def placed(state: State, due_us: int = 0, group: str = "", why: str = "") -> Placed:
        return Placed(name, channel.name, event, state, due_us, group, urgent, why)

    for mute in (f"channel/{channel.name}", f"kind/{event.kind}"):
        if past.muted.get(mute, 0) > now_us:
            return placed("suppressed", why=f"{mute.replace('/', ' ')} is muted")
    if not urgent:
        if until_us := quiet_until(channel.quiet, now_us):
            return placed("held", until_us, "quiet", "quiet hours")
        if channel.group:
            due_us = span_end(channel.group.within_us, now_us)
            due_us = quiet_until(channel.quiet, due_us) or due_us
            return placed("held", due_us, _group(channel.group.by, event), "grouped")
    if used >= channel.throttle.most:
        due_us = span_end(channel.throttle.per_us, now_us)
        if not urgent:
            due_us = quiet_until(channel.quiet, due_us) or due_us
        return placed("held", due_us, "throttle", "throttled")
    return placed("pending")


def _group(by: str, event: Event) -> str:
    if by == "all":
        return "all"
    return f"account/{event.account}" if by == "account" and event.account else f"kind/{event.kind}"


def span_end(span_us: int, now_us: int) -> int:
    """When the present span ends: spans begin at multiples of their length."""
    return (now_us // span_us + 1) * span_us


def span_start(throttle: Throttle, now_us: int) -> int:
    """When the present span of a throttle began."""
    return now_us // throttle.per_us * throttle.per_us


def quiet_until(quiet: Quiet | None, now_us: int) -> int:
    """When the quiet hours end that are now; 0 outside of them.

    By the clocks of the zone, also on the days on which they are changed.
    """
    if quiet is None:
        return 0
    local = datetime.fromtimestamp(now_us / 1e6, UTC).astimezone(quiet.zone)
    now = local.time()
    over_midnight = quiet.since > quiet.until
    within = (
        now >= quiet.since or now < quiet.until
        if over_midnight
        else quiet.since <= now < quiet.until
    )
    if not within:
        return 0
    day = local.date() + timedelta(days=over_midnight and now >= quiet.since)
    end = datetime.combine(day, quiet.until, quiet.zone)
    return max(now_us + 1, round(end.timestamp() * 1e6))


class Waiting(NamedTuple):
    """What is held and due: its group, and whether it is the first of it."""

    id: str
    group: str


def digests(held: Sequence[Waiting], room: int) -> list[list[str]]:
    """The ids of each message that what is due makes, in the order in which they came.

    At most `room` messages, but one: what is left over after `room` - 1 goes together.
    """
    groups: dict[str, list[str]] = {}
    for one in held:
        groups.setdefault(one.group, []).append(one.id)
    made = list(groups.values())
    apart = max(1, room) - 1
    if len(made) <= apart + 1:
        return made
    return [*made[:apart], [name for group in made[apart:] for name in group]]


def backoff_us(attempts: int, chance: float) -> int:
    """How long to wait after so many failed attempts in us: 5 s, doubled, at most 15 min.

    `chance` from 0 to 1 adds up to a fifth, so that what failed together does not come together.
    """
    seconds = min(900.0, 5.0 * 2 ** min(attempts - 1, 10))
    return int(seconds * (1 + chance / 5) * 1_000_000)
