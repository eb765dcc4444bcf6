"""A shadow or a canary against the champion, by the rows of the database and their verdicts."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

from db.history import read_decided, read_shadowed
from model.bundles.catalog import find
from model.bundles.promotion import current_canary, current_shadow
from model.bundles.published import labels_of, verdicts
from model.evaluation.shadow import ComparedRows, Comparison, compare
from tidegate.broker.ports import Broker
from tidegate.profile import Profile


def compare_shadow(
    profile: Profile, url: str, broker: Broker, bundles: Path, capacity: int
) -> tuple[str, Comparison] | None:
    """The shadow's hash and how it compares at `capacity` reviews a day; None without a shadow.

    Raises ConfigError when its bundle is gone, Retry when database or Kafka are away.
    """
    name = profile.hash.decode()
    current = current_shadow(broker, name)
    if current is None:
        return None
    message, offset = current
    rows = read_shadowed(url, name, offset, len(profile.models.names))
    would_decide = find(bundles, message.bundle).decide(rows.shadow, rows.amounts)
    labels = labels_of(rows.ids, verdicts(broker))
    compared = ComparedRows(
        rows.times, rows.champion, rows.shadow, rows.decided, would_decide, labels
    )
    return message.bundle, compare(compared, capacity)


class DecidedSince(NamedTuple):
    """What a bundle decided since the canary was named; precision among flagged rows with a
    verdict.
    """

    rows: int
    flagged: int
    verdicts: int
    frauds: int
    precision: float | None


def compare_canary(
    profile: Profile, url: str, broker: Broker
) -> tuple[str, float, dict[str, DecidedSince]] | None:
    """The canary's hash, its share of the accounts, what each bundle decided; None without a
    canary.

    Each bundle has accounts of its own, so differences by chance shrink only with their number.
    Raises Retry when database or Kafka are away.
    """
    name = profile.hash.decode()
    current = current_canary(broker, name)
    if current is None:
        return None
    canary, offset = current
    decisions = defaultdict[str, list[tuple[str, str]]](list)
    for transaction_id, bundle, decision in read_decided(url, name, offset):
        decisions[bundle].append((transaction_id, decision))
    frauds = verdicts(broker)
    decided = {bundle: _decided_since(rows, frauds) for bundle, rows in decisions.items()}
    return canary.bundle, canary.share, decided


def _decided_since(rows: list[tuple[str, str]], frauds: dict[str, bool]) -> DecidedSince:
    flagged = [transaction_id for transaction_id, decision in rows if decision != "approve"]
    known = [frauds[transaction_id] for transaction_id in flagged if transaction_id in frauds]
    precision = sum(known) / len(known) if known else None
    return DecidedSince(len(rows), len(flagged), len(known), sum(known), precision)
