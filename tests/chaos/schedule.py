"""Which faults come when: a schedule that is drawn by a seed."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import NamedTuple

from tests.chaos.retention import STAGE as RETAINED
from tests.faults.kill9.cluster import STAGES

_STATEFUL = ("preprocess", "preprocess-2", "learn")


class Fault(NamedTuple):
    """`at` s after the start, for `seconds`; `target` is a process, or how it is done."""

    at: float
    kind: str
    target: str
    seconds: float

    def __str__(self) -> str:
        return f"{self.at:6.1f} s  {self.kind} {self.target} {self.seconds:.1f} s"


class Kind(NamedTuple):
    """What a fault may hit, and for how long at most, as a share of the longest."""

    targets: Sequence[str]
    longest: float = 1.0


KINDS = {
    "kill": Kind(STAGES, 0),
    "pause": Kind(STAGES),
    "broker": Kind(("kill", "stop"), 0.3),
    "database": Kind(("away",), 0.5),
    "snapshots lost": Kind(("all",), 0),
    "disk full": Kind(_STATEFUL),
    "clock": Kind([f"{stage} {shift}" for stage in STAGES for shift in ("+3600", "-3600", "-90")]),
    "rebalance": Kind(("score", "preprocess", "preprocess-2", "label"), 0.6),
    "burst": Kind(("preprocess",), 0.3),
    "retention": Kind((RETAINED,), 0.4),
}


def draw(
    seed: int, seconds: float, kinds: Sequence[str] = tuple(KINDS), *, gap: float, longest: float
) -> list[Fault]:
    """Each kind comes once before any comes again. `gap`: mean seconds between two."""
    chance = random.Random(f"faults {seed}")
    schedule: list[Fault] = []
    deck: list[str] = []
    at = chance.uniform(0, gap)
    while at < seconds:
        if not deck:
            deck = list(kinds)
            chance.shuffle(deck)
        kind = deck.pop()
        most = KINDS[kind].longest * longest
        target = chance.choice(KINDS[kind].targets)
        schedule.append(Fault(round(at, 1), kind, target, round(chance.uniform(0.3, 1) * most, 1)))
        at += chance.uniform(0.3, 1.7) * gap
    return schedule
