"""The shadow against the champion: rows of the database that both scored, and the verdicts that came for them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from db.history import read_shadowed
from model.catalog import find
from model.published import verdicts
from model.registry import current_shadow
from model.shadow import Comparison, Rows, compare
from tidegate.broker import Broker
from tidegate.profile import Profile


def compare_shadow(profile: Profile, url: str, broker: Broker, bundles: Path,
                   capacity: int) -> tuple[str, Comparison] | None:
    """The shadow's hash and how it compares when `capacity` transactions a day are reviewed; None without a shadow.

    Raises ConfigError when its bundle is gone, Retry when database or Kafka are away.
    """
    name = profile.hash.decode()
    current = current_shadow(broker, name)
    if current is None:
        return None
    shadow, offset = current[0].bundle, current[1]
    rows = read_shadowed(url, name, offset, len(profile.models.names))
    would = find(bundles, shadow).decide(rows.shadow, rows.amounts)
    said = verdicts(broker)
    labels = np.fromiter((int(said.get(key, -1)) for key in rows.ids), np.int8, len(rows.ids))
    return shadow, compare(Rows(rows.times, rows.champion, rows.shadow, rows.decided, would, labels), capacity)
