"""How a stage reads its side topic."""

from __future__ import annotations

from typing import Any

from tidegate.broker.ports import Broker, Consumer
from tidegate.errors import ConfigError
from tidegate.stream.side_topic import SideFeed, SideLog
from tidegate.stream.stage import Stage


def side_input(
    stage: Stage[Any], broker: Broker
) -> tuple[SideLog | SideFeed | None, list[Consumer]]:
    """The side topic of a stage that has one, and the consumers that read it, to be closed.

    Raises ConfigError when it has partitions whose order is not defined.
    """
    if stage.side is None:
        return None, []
    feeds = not stage.snapshot_tag
    reader = broker.follower() if feeds else broker.consumer(None)
    sources = reader.partitions(stage.side)
    if feeds:
        return SideFeed(reader, sources, stage), [reader]
    if len(sources) != 1:
        raise ConfigError(
            f"topic {stage.side} must have 1 partition, it has {len(sources)}: the order "
            "of labels is part of the state"
        )
    return SideLog(reader, sources[0]), [reader]
