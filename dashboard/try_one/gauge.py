"""The gauge: a half circle from 0 to 1 with the scores of each decision, and a needle."""

from __future__ import annotations

import math
from typing import NamedTuple

CENTRE, RADIUS, LENGTH = (110.0, 108.0), 92.0, 74.0
"""In units of the picture, which is 220 wide and 118 high."""


class Zone(NamedTuple):
    """The scores that lead to one decision, as the path of an arc."""

    decision: str
    path: str


class Gauge(NamedTuple):
    """What the template draws: the zones that are not empty, and the needle's tip."""

    zones: list[Zone]
    x: float
    y: float


def gauge(score: float, review: float, block: float) -> Gauge:
    """A picture of a score in [0, 1] among its thresholds; those above 1 are out of reach."""
    review, block = (min(max(limit, 0.0), 1.0) for limit in (review, block))
    spans = (("approve", 0.0, review), ("review", review, block), ("block", block, 1.0))
    zones = [Zone(name, _arc(start, end)) for name, start, end in spans if end > start]
    return Gauge(zones, *_point(min(max(score, 0.0), 1.0), LENGTH))


def _arc(start: float, end: float) -> str:
    (x1, y1), (x2, y2) = _point(start, RADIUS), _point(end, RADIUS)
    return f"M{x1:.2f} {y1:.2f}A{RADIUS:g} {RADIUS:g} 0 0 1 {x2:.2f} {y2:.2f}"


def _point(share: float, radius: float) -> tuple[float, float]:
    angle = math.pi * (1 - share)
    return (
        round(CENTRE[0] + radius * math.cos(angle), 2),
        round(CENTRE[1] - radius * math.sin(angle), 2),
    )
