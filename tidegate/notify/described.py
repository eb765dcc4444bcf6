"""The configuration in use as people may see it: without addresses and secrets."""

from __future__ import annotations

from typing import Any

from tidegate.notify.config import Channel, Config, Route


def described(config: Config) -> dict[str, Any]:
    """As JSON has it."""
    return {
        "channels": [_channel(channel) for channel in config.channels.values()],
        "routes": [_route(route) for route in config.routes],
        "keep_days": config.keep_days,
    }


def _channel(channel: Channel) -> dict[str, Any]:
    quiet = channel.quiet
    return {
        "name": channel.name,
        "way": channel.way,
        "shown": channel.shown,
        "signatures": len(channel.secrets),
        "networks": [str(network) for network in channel.networks],
        "group": channel.group and {"by": channel.group.by, "within_us": channel.group.within_us},
        "throttle": {"most": channel.throttle.most, "per_us": channel.throttle.per_us},
        "quiet": quiet
        and {
            "from": f"{quiet.since:%H:%M}",
            "until": f"{quiet.until:%H:%M}",
            "zone": quiet.zone.key,
        },
    }


def _route(route: Route) -> dict[str, Any]:
    return {
        "events": sorted(route.kinds),
        "channels": list(route.channels),
        "decisions": sorted(route.decisions),
        "min_score": route.min_score,
        "min_amount": route.min_amount,
        "rules": sorted(route.rules),
        "urgent": route.urgent,
    }
