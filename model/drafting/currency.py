"""Which column says the currency of the amount, and how large amounts usually are in each."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from statistics import median

from model.drafting.choice import Choice, Columns
from model.drafting.evidence import Column
from model.drafting.number_form import NumberForm, digits_of
from model.drafting.words import CURRENCY, says
from tidegate.profile.currencies import is_currency, minor_units
from tidegate.profile.spec import Json

_MOST = 20
"""Currencies of one file; more values are none."""
_LOOKED_AT = 20_000
"""Rows whose amounts are taken apart."""


@dataclass(frozen=True)
class CurrencyColumn:
    """The column `name` with the currency of the amount, and the median amount by its words, the
    most frequent first.

    `exact`: the words are codes of ISO 4217, and every amount has no more decimals than its own.
    """

    name: str
    medians: Mapping[str, float]
    exact: bool

    @property
    def several(self) -> bool:
        return len(self.medians) > 1

    def decimals(self) -> int | None:
        """Those of the one currency of all rows; None where there are several, or it is no code."""
        if self.several or not self.exact:
            return None
        return minor_units(next(iter(self.medians)).upper())


def choose_currency(columns: Columns, money: Choice) -> CurrencyColumn | None:
    """The column of currencies that is named most like the amount, or stands next to it."""
    if not money:
        return None
    names = list(columns)
    place = names.index(money.columns[-1])
    amount = set(columns[money.columns[-1]].key.split())

    def unlike(column: Column) -> tuple[int, int]:
        shared = amount & set(column.key.split())
        return -len(shared), abs(names.index(column.name) - place)

    found = [column for column in columns.values() if _is_currency_column(column)]
    return _described(columns, min(found, key=unlike), money) if found else None


def _is_currency_column(column: Column) -> bool:
    return (
        says(column.key, CURRENCY)
        and 0 < column.distinct <= _MOST
        and not column.blanks
        and column.numbers is None
    )


def _described(columns: Columns, column: Column, money: Choice) -> CurrencyColumn | None:
    minor = bool(money.options.get("minor"))
    codes = all(is_currency(word.upper()) for word in column.words)
    sizes: dict[str, list[float]] = defaultdict(list)
    most: dict[str, int] = defaultdict(int)
    for word, text, form in _amounts(columns, column, money):
        digits = digits_of(text, form)
        units = 10 ** minor_units(word.upper()) if minor and codes else 1
        sizes[word].append(float(digits) / units)
        most[word] = max(most[word], len(digits.partition(".")[2].rstrip("0")))
    medians = {word: median(sizes[word]) for word in column.words if sizes[word]}
    exact = codes and all(places <= minor_units(word.upper()) for word, places in most.items())
    return CurrencyColumn(column.name, medians, exact) if medians else None


def _amounts(
    columns: Columns, column: Column, money: Choice
) -> Iterator[tuple[str, str, NumberForm]]:
    """The currency, the amount's cell and the form of its column, of the first rows."""
    codes = column.cells.slice(0, _LOOKED_AT).to_pylist()
    for name in money.columns:
        form = columns[name].numbers
        if form is None:
            continue
        cells = columns[name].cells.slice(0, _LOOKED_AT).to_pylist()
        for code, text in zip(codes, cells, strict=True):
            if code and text and any(sign.isdigit() for sign in text):
                yield code, text, form


def scaled(money: str, field: str, found: CurrencyColumn) -> dict[str, Json]:
    """The amount in multiples of its currency's median, as an expression over the two fields."""
    words = [word.upper() if found.exact else word for word in found.medians]
    sizes = [f"{money} / {max(size, 0.01):.4g}" for size in found.medians.values()]
    text = sizes[0]
    for word, size in reversed(list(zip(words[1:], sizes[1:], strict=True))):
        text = f"{size} if {field} == {word!r} else {text}"
    return {"op": "expression", "is": text}
