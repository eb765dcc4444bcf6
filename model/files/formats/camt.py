"""camt.052, camt.053 and camt.054: reports, statements and notifications of ISO 20022."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from model.files.formats.camt_entry import NOT_BOOKED, Frame, rows, signed
from model.files.formats.entry import Fault, Item, Items
from model.files.formats.money import plain
from model.files.formats.totals import Totals
from model.files.formats.xml import Part, account_of, read_documents, text

if TYPE_CHECKING:
    from lxml.etree import _Element as Element

_STATEMENTS = frozenset({"Stmt", "Rpt", "Ntfctn"})
_NUMBERS = ("ElctrncSeqNb", "LglSeqNb")
_COUNT = re.compile(r"\d{1,15}", re.ASCII)
_OPENING = ("OPBD", "PRCD")
_CLOSING = "CLBD"


def read(path: Path) -> Items:
    """Every booked entry; a batch as its transactions where their amounts add up to it."""
    return read_documents(path, _STATEMENTS, _Statement)


class _Statement:
    def __init__(self, number: int) -> None:
        self.totals = Totals(f"statement {number}")
        self._frame = Frame()

    def take(self, part: Part, element: Element) -> Iterator[Item]:
        if part.name == "Acct":
            self._frame.account = account_of(element, ".")
        elif part.name in _NUMBERS and part.parent == "Stmt":
            self._frame.ids.sequence = text(element, ".")
        elif part.name in ("Bal", "TxsSummry"):
            yield from self._own_totals(part, element)
        elif part.name == "Ntry":
            yield from self._entry(part, element)

    def _own_totals(self, part: Part, element: Element) -> Iterator[Item]:
        try:
            (self._balance if part.name == "Bal" else self._summary)(element)
        except Fault as fault:
            yield fault.at(f"{self.totals.place}, {part.name}, line {part.line}")

    def _balance(self, element: Element) -> None:
        code = text(element, "Tp/CdOrPrtry/Cd")
        if code == _CLOSING:
            self.totals.closing = signed(element)
        elif code in _OPENING and self.totals.opening is None:
            self.totals.opening = signed(element)

    def _summary(self, element: Element) -> None:
        number, turnover = text(element, "TtlNtries/NbOfNtries"), text(element, "TtlNtries/Sum")
        self.totals.number = int(number) if _COUNT.fullmatch(number) else None
        self.totals.turnover = plain(turnover, "Sum") if turnover else None

    def _entry(self, part: Part, element: Element) -> Iterator[Item]:
        place = f"{self.totals.place}, entry {self.totals.begin()}, line {part.line}"
        try:
            yield from rows(self._frame, element, place)
            self.totals.book(signed(element))
        except Fault as fault:
            if fault.reason != NOT_BOOKED:
                self.totals.refuse()
            yield fault.at(place)
