"""What was ever ordered of a profile's bundles, from the topic `promotions`, which keeps it all."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from model.bundles.promotion import model_message
from tidegate.broker.ports import Broker
from tidegate.messages.documents import Canary, Champion, Shadow
from tidegate.pipeline import PROMOTIONS
from tidegate.stream.side_topic import read_partition


class Change(NamedTuple):
    """An order, and when the log took it in (ms)."""

    at_ms: int
    order: Champion | Shadow | Canary


def changes(broker: Broker, profile: str) -> Iterator[Change]:
    """All of a profile (hash), oldest first. Raises Retry, and ConfigError without the topic."""
    for batch in read_partition(broker, PROMOTIONS, 0):
        for at_ms, value in zip(batch.timestamps, batch.values, strict=True):
            order = model_message(value)
            if isinstance(order, Champion | Shadow | Canary) and order.profile == profile:
                yield Change(at_ms, order)
