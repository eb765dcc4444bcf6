"""How a file writes numbers: which mark stands before decimals, which between thousands."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import zip_longest
from typing import NamedTuple

_SPACES = " '\u2019\u00a0\u202f"
_TRIM = re.compile(r"^[\s(+\-\u2212A-Z$\u20ac\u00a3\u00a5]+|[\s)+\-\u2212A-Z$\u20ac\u00a3\u00a5]+$")
_NUMBER = re.compile(rf"[\d.,{_SPACES}]*\d[\d.,{_SPACES}]*")
_MOST = 0.9
_EVIDENCE = [  # what a number looks like, and the marks that it can only have
    (re.compile(r"\d{1,3}(\.\d{3})+,\d+"), ",", "."),
    (re.compile(r"\d{1,3}(,\d{3})+\.\d+"), ".", ","),
    (re.compile(r"\d{1,3}(\.\d{3}){2,}"), None, "."),
    (re.compile(r"\d{1,3}(,\d{3}){2,}"), None, ","),
    (re.compile(r"(\d*,\d{1,2}|\d*,\d{4,}|0,\d+|\d{4,},\d+)"), ",", None),
    (re.compile(r"(\d*\.\d{1,2}|\d*\.\d{4,}|0\.\d+|\d{4,}\.\d+)"), ".", None),
]
_SPACED = re.compile(rf"\d{{1,3}}([{_SPACES}])\d{{3}}(\1\d{{3}})*(?:([.,])\d+)?")


class Marks(NamedTuple):
    """The marks that numbers of a file show; None where none shows, or two do."""

    decimal: str | None
    thousands: str | None


def look(rows: Iterable[Sequence[str]]) -> Marks:
    """The marks in those columns that hold numbers: of cells that can be read in one way only.

    1,234 is one thousand or one and a bit, and so says nothing.
    """
    columns = (
        [_TRIM.sub("", cell) for cell in cells] for cells in zip_longest(*rows, fillvalue="")
    )
    return agreed(_of(cell) for cells in columns if _are_numbers(cells) for cell in cells)


def agreed(all_marks: Iterable[Marks]) -> Marks:
    """The marks that occur, where only one does."""
    decimal: set[str | None] = set()
    thousands: set[str | None] = set()
    for marks in all_marks:
        decimal.add(marks.decimal)
        thousands.add(marks.thousands)
    return Marks(_only(decimal), _only(thousands))


def _are_numbers(cells: Iterable[str]) -> bool:
    """Whether most of the cells that hold something could be numbers."""
    filled = [cell for cell in cells if cell]
    return sum(bool(_NUMBER.fullmatch(cell)) for cell in filled) >= _MOST * len(filled)


def _only(marks: set[str | None]) -> str | None:
    found = marks - {None}
    return found.pop() if len(found) == 1 else None


def _of(number: str) -> Marks:
    for pattern, decimal, thousands in _EVIDENCE:
        if pattern.fullmatch(number):
            return Marks(decimal, thousands)
    spaced = _SPACED.fullmatch(number)
    return Marks(spaced[3], spaced[1]) if spaced else Marks(None, None)
