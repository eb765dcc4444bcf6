"""A challenger against the champion, by the rows of the database and the verdicts that came for
them.
"""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

from db.history import read_decided, read_shadowed
from model.bundles.catalog import find
from model.bundles.promotion import current_canary, current_shadow
from model.bundles.published import labels_of, verdicts
from model.evaluation.shadow import Comparison, Rows, compare
from tidegate.broker.ports import Broker
from tidegate.profile import Profile


def compare_shadow(
    profile: Profile, url: str, broker: Broker, bundles: Path, capacity: int
) -> tuple[str, Comparison] | None:
    """The shadow's hash and how it compares when `capacity` transactions a day are reviewed; None
    without a shadow.

    Raises ConfigError when its bundle is gone, Retry when database or Kafka are away.
    """
    name = profile.hash.decode()
    current = current_shadow(broker, name)
    if current is None:
        return None
    shadow, offset = current[0].bundle, current[1]
    rows = read_shadowed(url, name, offset, len(profile.models.names))
    would = find(bundles, shadow).decide(rows.shadow, rows.amounts)
    labels = labels_of(rows.ids, verdicts(broker))
    return shadow, compare(
        Rows(rows.times, rows.champion, rows.shadow, rows.decided, would, labels), capacity
    )


class Side(NamedTuple):
    """What a bundle decided since the canary was named; precision among its flagged rows that have
    a verdict.
    """

    rows: int
    flagged: int
    verdicts: int
    frauds: int
    precision: float | None


def compare_canary(
    profile: Profile, url: str, broker: Broker
) -> tuple[str, float, dict[str, Side]] | None:
    """The canary's hash, its share of the accounts, and each bundle's side; None without a canary.

    The accounts are others, so what differs by chance shrinks only with their number. Raises Retry
    when database or Kafka are away.
    """
    name = profile.hash.decode()
    current = current_canary(broker, name)
    if current is None:
        return None
    canary, offset = current
    said, decided = verdicts(broker), defaultdict[str, list[tuple[str, str]]](list)
    for transaction_id, bundle, decision in read_decided(url, name, offset):
        decided[bundle].append((transaction_id, decision))
    return (
        canary.bundle,
        canary.share,
        {bundle: _side(rows, said) for bundle, rows in decided.items()},
    )


def _side(rows: list[tuple[str, str]], said: dict[str, bool]) -> Side:
    flagged = [transaction_id for transaction_id, decision in rows if decision != "approve"]
    known = [said[transaction_id] for transaction_id in flagged if transaction_id in said]
    return Side(
        len(rows), len(flagged), len(known), sum(known), sum(known) / len(known) if known else None
    )
