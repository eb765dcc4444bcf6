"""What may stand in notify.yaml, as it is written there."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

import msgspec

Duration = Annotated[str, msgspec.Meta(pattern=r"^[1-9]\d{0,3}[smhd]$")]
Clock = Annotated[str, msgspec.Meta(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")]
Positive = Annotated[int, msgspec.Meta(ge=1, le=1_000_000_000)]
_UNITS = {"s": 1_000_000, "m": 60_000_000, "h": 3_600_000_000, "d": 86_400_000_000}


def duration_us(text: str) -> int:
    """A duration in us: 30s, 5m, 1h, 3d."""
    return int(text[:-1]) * _UNITS[text[-1]]


class GroupSpec(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """What happens within so long of one account (or of one kind, or altogether) is one message."""

    by: Literal["account", "kind", "all"] = "account"
    within: Duration = "1m"


class ThrottleSpec(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """At most so many messages in each such span; the rest come as one at its end."""

    most: Positive = 60
    per: Duration = "1h"


class QuietSpec(msgspec.Struct, forbid_unknown_fields=True, frozen=True, rename={"since": "from"}):
    """From this time of the day until that nothing is sent but what is urgent."""

    since: Clock
    until: Clock
    zone: str = "UTC"


class ChannelSpec(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """A way to tell somebody: by one of Apprise's addresses, or by a signed webhook."""

    apprise: str = ""
    webhook: str = ""
    secret: str = ""
    previous_secret: str = ""
    allow_networks: list[str] = []
    group: GroupSpec | None = None
    throttle: ThrottleSpec = ThrottleSpec()
    quiet: QuietSpec | None = None


class RouteSpec(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Which events go to which channels. What is left out does not matter."""

    events: list[str]
    channels: list[str]
    decisions: list[Literal["review", "block"]] = []
    min_score: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.0
    min_amount: Annotated[float, msgspec.Meta(ge=0)] = 0.0
    rules: list[str] = []
    urgent: bool = False


class BoundsSpec(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """From when on something is worth a word."""

    lag: Positive = 100_000
    drift: Annotated[float, msgspec.Meta(gt=0)] = 0.5
    patience: Duration = "1m"


class FileSpec(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """The whole file."""

    channels: dict[str, Any]
    """By name; each is a ChannelSpec."""
    routes: list[RouteSpec]
    bounds: BoundsSpec = BoundsSpec()
    keep_days: Annotated[int, msgspec.Meta(ge=1, le=3650)] = 30


NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}\Z")
"""The names of channels: they stand in addresses of pages."""
