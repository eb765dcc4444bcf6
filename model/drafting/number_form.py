"""How the numbers of a column are written: signs, thousands and decimal marks, decimals."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from tidegate.profile.currencies import is_currency

_PLAIN = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?")
_MARKS = r"[.,'\u2019\u00a0\u202f ]"
_UNIT = r"[A-Z]{3}|[$€£¥₹]"
_DRESSED = re.compile(
    rf"((?P<first>{_UNIT}) ?)?(?P<open>\()?(?P<sign>[+-])?((?P<second>{_UNIT}) ?)?"
    rf"(?P<digits>\d(\d|{_MARKS})*|[.,]\d+)(?P<minus>-)?\)?( ?(?P<third>{_UNIT}))?"
)
_GROUPED = re.compile(rf"\d{{1,3}}(?P<mark>{_MARKS})\d{{3}}((?P=mark)\d{{3}})*")


class NumberForm(NamedTuple):
    """What a column of numbers looks like.

    `places`: the most decimals seen. `low` and `high` bound the values. `exponents` are numbers
    such as 1e5; `padded` are whole numbers with leading zeros, which may be codes. `units` are the
    signs and codes of currencies that stand beside them.
    """

    decimal_mark: str
    thousands: str
    places: int
    low: float
    high: float
    exponents: bool
    padded: bool
    units: frozenset[str] = frozenset()

    @property
    def whole(self) -> bool:
        """Whether no cell has decimals."""
        return self.places == 0 and not self.exponents


def number_form(cells: Sequence[str]) -> NumberForm | None:
    """The form in which every one of the cells is a number; None where there is none."""
    if not cells:
        return None
    if all(_PLAIN.fullmatch(cell) for cell in cells):
        return _form(cells, [float(cell) for cell in cells], ".", "")
    found = [_DRESSED.fullmatch(cell) for cell in cells]
    digits = [match["digits"].strip() for match in found if match]
    marks = _marks(digits) if len(digits) == len(cells) else None
    units = frozenset(
        unit for match in found if match for unit in match.group("first", "second", "third") if unit
    )
    if marks is None or not all(map(_is_unit, units)):
        return None
    decimal_mark, thousands = marks
    if thousands and not all(
        _grouped(text.partition(decimal_mark)[0], thousands) for text in digits
    ):
        return None
    plain = [text.replace(thousands or "\0", "").replace(decimal_mark, ".") for text in digits]
    if not all(_PLAIN.fullmatch(text) for text in plain):
        return None
    values = [
        -float(text)
        if match and (match["sign"] == "-" or match["minus"] or match["open"])
        else float(text)
        for text, match in zip(plain, found, strict=True)
    ]
    return _form(plain, values, decimal_mark, thousands)._replace(units=units)


def digits_of(cell: str, form: NumberForm) -> str:
    """A cell's number as programs write it, without its sign."""
    return re.sub(rf"[^0-9{form.decimal_mark}]", "", cell).replace(form.decimal_mark, ".")


def _is_unit(text: str) -> bool:
    return not text.isalpha() or is_currency(text)


def _form(
    plain: Sequence[str], values: Sequence[float], decimal_mark: str, thousands: str
) -> NumberForm:
    exponents = any("e" in text.lower() for text in plain)
    places = max(len(text.partition(".")[2].rstrip("0")) for text in plain)
    if places == 0 and any("." in text for text in plain) and not exponents:
        places = 1 if all(text.endswith(".0") for text in plain if "." in text) else 2
    padded = any(len(text) > 1 and text.isdigit() and text[0] == "0" for text in plain)
    return NumberForm(decimal_mark, thousands, places, min(values), max(values), exponents, padded)


def _grouped(text: str, mark: str) -> bool:
    """Whether the digits before the decimals stand in groups of three, or in none."""
    head, *groups = text.split(mark)
    return not groups or (0 < len(head) <= 3 and all(len(group) == 3 for group in groups))


def _marks(digits: Iterable[str]) -> tuple[str, str] | None:
    """Decimal and thousands mark ("": none) that fit all; None where cells disagree."""
    decimals, thousands = set(), set()
    unclear = set()
    for text in digits:
        marks = re.sub(r"\d", "", text)
        if not marks:
            continue
        if len(set(marks)) == 1 and len(marks) == 1 and _GROUPED.fullmatch(text):
            unclear.add(marks)
        elif len(set(marks)) == 1 and len(marks) > 1:
            thousands.add(marks[0])
        else:
            decimals.add(marks[-1])
            thousands.update(marks[:-1])
    unclear -= decimals
    if "." in unclear and not decimals and not thousands:
        decimals.add(".")  # 1.234 alone: as programs write numbers
    thousands |= unclear - decimals
    if len(decimals) > 1 or len(thousands) > 1 or decimals & thousands:
        return None
    if not decimals <= {".", ","}:
        return None
    thousands_mark = next(iter(thousands), "")
    return next(iter(decimals), "," if thousands_mark == "." else "."), thousands_mark
