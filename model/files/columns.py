"""The columns of a file: which line names them, and a name of its own for each."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

_NUMBER = re.compile(r"[-+(]?[$€£¥]?\s?\d[\d.,' ]*[)-]?")
_DATE = re.compile(r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}([T ].*)?|\d{1,2}:\d{2}(:\d{2}.*)?")
_FILLED = 2 / 3
"""Of a header's cells, so many are names: what stands above a table fills fewer."""


class Columns(NamedTuple):
    """Columns' names, each once: the second of a name gets `_2` behind it, one without a name is
    `column_` and its number. `doubled` says what became of names that are there more than once.
    """

    names: list[str]
    doubled: dict[str, list[str]]

    def told(self) -> list[str]:
        """A sentence for each name that is there more than once."""
        return [
            f"the column {name!r} is there {len(names)} times: read as {', '.join(names)}"
            for name, names in self.doubled.items()
        ]


def named(names: Sequence[str]) -> Columns:
    """The columns of a header."""
    stripped = [name.strip() or f"column_{i}" for i, name in enumerate(names, 1)]
    taken, given = set(stripped), Counter[str]()
    result: list[str] = []
    doubled: dict[str, list[str]] = {}
    for name in stripped:
        given[name] += 1
        new, number = name, given[name]
        while number > 1 and (new := f"{name}_{number}") in taken:
            number += 1
        taken.add(new)
        result.append(new)
        if given[name] > 1:
            doubled.setdefault(name, [name]).append(new)
    return Columns(result, doubled)


def is_header(cells: Sequence[str]) -> bool:
    """Whether cells are names: filled, and neither numbers nor dates, unless they count 0, 1, 2."""
    filled = [cell.strip() for cell in cells if cell.strip()]
    if not filled or len(filled) < _FILLED * len(cells):
        return False
    if len(filled) == len(cells) > 1 and all(map(str.isdecimal, filled)):
        first = int(filled[0])
        return filled == [str(first + i) for i in range(len(filled))]
    return not any(map(is_value, filled))


def is_date(cell: str) -> bool:
    """Whether a cell is a date or a time of day."""
    return bool(_DATE.fullmatch(cell.strip()))


def is_value(cell: str) -> bool:
    """Whether a cell is a number or a date, and so no name."""
    return bool(_NUMBER.fullmatch(cell) or _DATE.fullmatch(cell))
