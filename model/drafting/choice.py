"""A choice that a draft makes, with what it rests on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from model.drafting.evidence import Column
from tidegate.profile.spec import Json

Columns = Mapping[str, Column]
_CLOSE = 2
Answers = Mapping[str, str]
"""Columns that people named for a role ("": none), by the role."""


@dataclass(frozen=True)
class Choice:
    """The columns that fill a role; none where the file has nothing for it.

    `options` are those of the field, `why` is the evidence in one line, `unsure` what a person
    should look at ("" for nothing), `others` the columns that would do as well.
    """

    columns: tuple[str, ...] = ()
    why: str = ""
    unsure: str = ""
    options: dict[str, Json] = field(default_factory=dict)
    others: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.columns)


def ranked(columns: Iterable[Column], points: Callable[[Column], float]) -> list[Column]:
    """The columns that get points, best first; of equals the first in the file."""
    scored = [(points(column), column) for column in columns]
    return [column for point, column in sorted(scored, key=lambda pair: -pair[0]) if point > 0]


def rivals(found: list[Column], points: Callable[[Column], float]) -> tuple[str, ...]:
    """The names of the columns that come close to the best of `found`."""
    return tuple(column.name for column in found[1:] if points(column) >= points(found[0]) - _CLOSE)


def share(part: int, whole: int) -> str:
    """`3.2%`, or `0.04%` where that is little."""
    percent = 100 * part / max(whole, 1)
    return f"{percent:.0f}%" if percent >= 10 else f"{percent:.2g}%"
