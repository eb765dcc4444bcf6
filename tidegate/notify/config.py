"""notify.yaml, read and checked: every complaint names file and line."""

from __future__ import annotations

import base64
import binascii
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import time
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from tidegate.notify.events import KINDS, OPERATIONS, Event
from tidegate.notify.secrets import Redactor, Unset, filled, shown
from tidegate.notify.spec import (
    NAME,
    BoundsSpec,
    ChannelSpec,
    FileSpec,
    QuietSpec,
    RouteSpec,
    duration_us,
)
from tidegate.profile.source import Source

Network = IPv4Network | IPv6Network
ALL_OPERATIONS = "operations"
"""In a route: all operational events."""
REFUSED = ("json", "jsons", "xml", "xmls", "form", "forms", "apprise", "apprises")
"""Apprise's ways to any web server: a `webhook` is signed, and checks where it goes."""
_PREFIX = "whsec_"
_SECRET_BYTES = range(24, 65)


@dataclass(frozen=True, slots=True)
class Group:
    """Events of one `by` that happen within one such span are one message."""

    by: str
    within_us: int


@dataclass(frozen=True, slots=True)
class Throttle:
    """At most so many messages in each such span."""

    most: int
    per_us: int


@dataclass(frozen=True, slots=True)
class Quiet:
    """Nothing but what is urgent from `since` until `until`, by the clocks of `zone`."""

    since: time
    until: time
    zone: ZoneInfo


@dataclass(frozen=True, slots=True)
class Channel:
    """A way to tell somebody. `address` and `secrets` are for sending alone.

    `secrets` are the keys of a webhook's signatures, the newest first; `redact` takes all of the
    channel's secrets out of a sentence; `shown` is its address for people.
    """

    name: str
    way: str
    address: str
    secrets: tuple[bytes, ...]
    networks: tuple[Network, ...]
    group: Group | None
    throttle: Throttle
    quiet: Quiet | None
    shown: str
    redact: Redactor


@dataclass(frozen=True, slots=True)
class Route:
    """Which events go to which channels. A `min_amount` of 0 is none: amounts may be negative."""

    kinds: frozenset[str]
    channels: tuple[str, ...]
    decisions: frozenset[str]
    min_score: float
    min_amount: float
    rules: frozenset[str]
    urgent: bool

    def takes(self, event: Event) -> bool:
        """Whether the event goes this way. Scores, amounts and rules are asked of alerts alone."""
        if event.kind not in self.kinds:
            return False
        if not event.decision:
            return True
        return (
            (not self.decisions or event.decision in self.decisions)
            and event.score >= self.min_score
            and (not self.min_amount or event.amount >= self.min_amount)
            and (not self.rules or not self.rules.isdisjoint(event.rules))
        )


@dataclass(frozen=True, slots=True)
class Bounds:
    """From when on something is worth a word."""

    lag: int
    drift: float
    patience_us: int


@dataclass(frozen=True, slots=True)
class Config:
    """All of the file."""

    channels: Mapping[str, Channel]
    routes: tuple[Route, ...]
    bounds: Bounds
    keep_days: int


def load_config(path: Path, environment: Mapping[str, str] | None = None) -> Config:
    """Read the file; `environment` has its secrets (the process's own: None).

    Raises ConfigError with file and line.
    """
    source = Source(path)
    spec: FileSpec = source.read(source.document, FileSpec, ())
    known = os.environ if environment is None else environment
    channels = {
        name: _channel(source, name, source.read(one, ChannelSpec, ("channels", name)), known)
        for name, one in spec.channels.items()
    }
    if not channels:
        raise source.error(("channels",), "there is no channel")
    routes = tuple(
        _route(source, number, route, channels) for number, route in enumerate(spec.routes)
    )
    return Config(channels, routes, _bounds(spec.bounds), spec.keep_days)


def _bounds(spec: BoundsSpec) -> Bounds:
    return Bounds(spec.lag, spec.drift, duration_us(spec.patience))


def _channel(
    source: Source, name: str, spec: ChannelSpec, environment: Mapping[str, str]
) -> Channel:
    place = ("channels", name)
    if not NAME.match(name):
        raise source.error(place, "a name is made of a-z, 0-9, _ and -, 40 characters at most")
    if bool(spec.apprise) == bool(spec.webhook):
        raise source.error(place, "either `apprise` or `webhook` is expected")
    way = "apprise" if spec.apprise else "webhook"
    address = _filled(source, (*place, way), spec.apprise or spec.webhook, environment)
    written = {"secret": spec.secret, "previous_secret": spec.previous_secret}
    keys = {
        option: _filled(source, (*place, option), text, environment)
        for option, text in written.items()
        if text
    }
    if way == "webhook":
        _check_webhook(source, place, address, keys)
    else:
        _check_apprise(source, place, address, spec)
    return Channel(
        name,
        way,
        address,
        tuple(_key(source, (*place, option), text) for option, text in keys.items()),
        tuple(
            _network(source, (*place, "allow_networks", str(number)), text)
            for number, text in enumerate(spec.allow_networks)
        ),
        Group(spec.group.by, duration_us(spec.group.within)) if spec.group else None,
        Throttle(spec.throttle.most, duration_us(spec.throttle.per)),
        _quiet(source, (*place, "quiet"), spec.quiet) if spec.quiet else None,
        shown(address),
        Redactor(address, *keys.values()),
    )


def _filled(
    source: Source, place: tuple[str, ...], text: str, environment: Mapping[str, str]
) -> str:
    try:
        return filled(text, environment, source.path.parent / "secrets")
    except Unset as error:
        raise source.error(place, str(error)) from error


def _check_webhook(
    source: Source, place: tuple[str, ...], address: str, keys: Mapping[str, str]
) -> None:
    inner = (*place, "webhook")
    try:
        parts = urlsplit(address)
        host = (parts.hostname or "").encode("idna")
        known = parts.scheme in ("http", "https") and host and parts.port != 0
    except ValueError:
        known = False
    if not known:
        raise source.error(inner, "expected an address like https://host.example/path")
    if parts.username is not None or parts.password is not None or parts.fragment:
        raise source.error(inner, "neither a user nor a fragment belongs into a webhook's address")
    if "secret" not in keys:
        raise source.error(place, "a webhook needs a `secret`, by which it is signed")


def _check_apprise(source: Source, place: tuple[str, ...], address: str, spec: ChannelSpec) -> None:
    inner = (*place, "apprise")
    scheme = address.partition("://")[0].lower()
    if scheme in REFUSED:
        raise source.error(inner, f"{scheme}:// reaches any server: use `webhook` for that")
    if spec.secret or spec.previous_secret or spec.allow_networks:
        raise source.error(place, "secret, previous_secret and allow_networks are for a webhook")
    from tidegate.notify.known import is_known  # its plugins take a second to load

    if not is_known(address):
        raise source.error(inner, f"Apprise does not know such an address: {shown(address)}")


def _key(source: Source, place: tuple[str, ...], text: str) -> bytes:
    try:
        key = base64.b64decode(text.removeprefix(_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not text.startswith(_PREFIX) or len(key) not in _SECRET_BYTES:
        raise source.error(
            place,
            f"expected {_PREFIX} and 24 to 64 bytes in base64, as of "
            f"`echo {_PREFIX}$(openssl rand -base64 32)`",
        )
    return key


def _network(source: Source, place: tuple[str, ...], text: str) -> Network:
    try:
        return ip_network(text)
    except ValueError as error:
        raise source.error(place, f"expected a network like 10.20.0.0/16: {error}") from error


def _quiet(source: Source, place: tuple[str, ...], spec: QuietSpec) -> Quiet:
    if spec.since == spec.until:
        raise source.error(place, "`from` and `until` are the same")
    try:
        zone = ZoneInfo(spec.zone)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise source.error(
            (*place, "zone"), f"{spec.zone!r} is no time zone, such as Europe/Madrid"
        ) from error
    return Quiet(time.fromisoformat(spec.since), time.fromisoformat(spec.until), zone)


def _route(source: Source, number: int, spec: RouteSpec, channels: Mapping[str, Channel]) -> Route:
    place = ("routes", str(number))
    kinds = set[str]()
    for at, kind in enumerate(spec.events):
        if kind not in (*KINDS, ALL_OPERATIONS):
            known = ", ".join((*KINDS, ALL_OPERATIONS))
            raise source.error(
                (*place, "events", str(at)), f"expected one of {known}, got {kind!r}"
            )
        kinds |= set(OPERATIONS) if kind == ALL_OPERATIONS else {kind}
    for at, channel in enumerate(spec.channels):
        if channel not in channels:
            raise source.error((*place, "channels", str(at)), f"there is no channel {channel!r}")
    if not kinds or not spec.channels:
        raise source.error(place, "a route needs events and channels")
    return Route(
        frozenset(kinds),
        tuple(spec.channels),
        frozenset(spec.decisions),
        spec.min_score,
        spec.min_amount,
        frozenset(spec.rules),
        spec.urgent,
    )
