"""A timeline: amounts (or scores) of neighbouring transactions over time, as places in an SVG."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from db.search.around import Neighbour


class Point(NamedTuple):
    """A transaction at `x`, `y` of a chart of `WIDTH` by `HEIGHT`."""

    x: float
    y: float
    neighbour: Neighbour
    this: bool


class Chart(NamedTuple):
    """The points, oldest first; `zero` is where the value 0 lies, `most` the greatest value."""

    points: list[Point]
    zero: float
    most: float
    first_us: int
    last_us: int


WIDTH, HEIGHT = 640.0, 150.0
_MARGIN = 10.0


def chart(neighbours: Sequence[Neighbour], this: str, *, money: bool) -> Chart | None:
    """Of the transaction `this` among its neighbours; None where it has none.

    Without money the scores are shown.
    """
    if len(neighbours) < 2:
        return None
    ordered = sorted(neighbours, key=lambda each: each.event_us)
    values = [each.amount_minor if money else each.score for each in ordered]
    low, high = min(0.0, *values), max(0.0, *values)
    first, last = ordered[0].event_us, ordered[-1].event_us

    def across(us: int) -> float:
        return _MARGIN + (WIDTH - 2 * _MARGIN) * (us - first) / ((last - first) or 1)

    def down(value: float) -> float:
        return HEIGHT - _MARGIN - (HEIGHT - 2 * _MARGIN) * (value - low) / ((high - low) or 1)

    points = [
        Point(across(each.event_us), down(value), each, each.transaction_id == this)
        for each, value in zip(ordered, values, strict=True)
    ]
    points.sort(key=lambda point: point.this)  # drawn last, above the others
    return Chart(points, down(0.0), max(values), first, last)
