"""The results' charts, as the template draws them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from tidegate.messages.frames import DECISIONS


class Part(NamedTuple):
    """A rectangle, in percent of the picture, of one decision."""

    decision: str
    x: float
    y: float
    width: float
    height: float


def shares(decisions: Mapping[str, int]) -> list[Part]:
    """One bar, cut by the decisions."""
    total = sum(decisions.values()) or 1
    parts, left = [], 0.0
    for name in DECISIONS:
        width = 100 * decisions.get(name, 0) / total
        if width:
            parts.append(Part(name, left, 0, width, 100))
        left += width
    return parts


def histogram(bins: Mapping[str, Sequence[int]]) -> list[Part]:
    """Scores from left to right, the decisions upon each other; heights are square roots, so that
    the few that are risky can be seen beside the many that are not.
    """
    counts = [list(bins.get(name, ())) for name in DECISIONS]
    number = max(map(len, counts), default=0)
    columns = [[count[place] if count else 0 for count in counts] for place in range(number)]
    most = max(map(sum, columns), default=0) or 1
    parts = []
    for place, column in enumerate(columns):
        total = sum(column)
        height = 100 * (total / most) ** 0.5
        top = 100.0
        for name, count in zip(DECISIONS, column, strict=True):
            if count:
                part = height * count / total
                top -= part
                parts.append(Part(name, 100 * place / number, top, 88 / number, part))
    return parts
