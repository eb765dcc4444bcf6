"""Which log a stage reads: what its snapshots belong to."""

from __future__ import annotations

import hashlib
from typing import Any

from tidegate.broker.ports import Broker
from tidegate.errors import ConfigError
from tidegate.stream.stage import Stage


def identify(stage: Stage[Any], broker: Broker) -> tuple[int, str]:
    """The input's number of partitions, and a word that changes when topics are made anew."""
    topics = [stage.input, *([stage.side] if stage.side else [])]
    ids = broker.topic_ids(topics)
    if missing := [topic for topic in topics if topic not in ids]:
        raise ConfigError(f"there is no topic {missing[0]!r}: run `tidegate topics apply`")
    words = f"{broker.cluster_id()} {sorted(ids.items())}"
    return ids[stage.input][1], hashlib.sha256(words.encode()).hexdigest()[:12]
