"""A statement's own totals held against its entries, in words for people."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from model.files.formats.entry import Told


@dataclass
class Totals:
    """What a statement's entries amount to, in the currency of its account.

    `opening`, `closing`, `number` and `turnover` are what the statement says of itself, None where
    it says nothing. `balances` says what it means that one of the first two is not there: never any
    in the format ("none"), or allowed ("may"), or that something is missing ("must").
    """

    place: str
    opening: Decimal | None = None
    closing: Decimal | None = None
    number: int | None = None
    turnover: Decimal | None = None
    balances: Literal["none", "may", "must"] = "may"
    _entries: int = 0
    _booked: int = 0
    _sum: Decimal = Decimal(0)
    _moved: Decimal = Decimal(0)
    _refused: int = 0

    def begin(self) -> int:
        """Count one more entry; its number in the statement, from 1."""
        self._entries += 1
        return self._entries

    def book(self, amount: Decimal) -> None:
        """Add the signed amount of a booked entry."""
        self._booked += 1
        self._sum += amount
        self._moved += abs(amount)

    def refuse(self) -> None:
        """A booked entry could not be read, so the sums cannot agree."""
        self._refused += 1

    def told(self) -> Iterator[Told]:
        """One sentence for each total that the statement has. Amounts are not shown."""
        if self._refused:
            yield Told(self.place, "its totals are not compared, an entry was refused", good=False)
            return
        if self.number is not None:
            good = self.number in (self._entries, self._booked)
            yield self._words("its number of entries", good)
        if self.turnover is not None and self._booked == self._entries:
            yield self._words("the sum of its entries", self.turnover == self._moved)
        if self.balances != "none":
            yield self._balance()

    def _balance(self) -> Told:
        if self.opening is None or self.closing is None:
            words = "has no pair of opening and closing balance to compare"
            return Told(self.place, words, good=self.balances == "may")
        return self._words("its closing balance", self.opening + self._sum == self.closing)

    def _words(self, what: str, good: bool) -> Told:
        if good:
            return Told(self.place, f"{what} agrees with its entries")
        words = f"{what} does not agree with its entries: the file may be cut off or changed"
        return Told(self.place, words, good=False)
