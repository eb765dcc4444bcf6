"""pacs.008: customer credit transfers between banks (ISO 20022), as payments of the debtor."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from model.files.formats.entry import Entry, Fault, Ids, Item, Items, with_id
from model.files.formats.money import as_text, plain
from model.files.formats.times import iso_date, iso_time
from model.files.formats.totals import Totals
from model.files.formats.xml import (
    Part,
    account_of,
    amount_at,
    currency_of,
    read_documents,
    reference,
    text,
)

if TYPE_CHECKING:
    from lxml.etree import _Element as Element

_COUNT = re.compile(r"\d{1,15}", re.ASCII)
_MESSAGE = frozenset({"FIToFICstmrCdtTrf"})


def read(path: Path) -> Items:
    """Every transfer as money that leaves the debtor's account, in the settlement's currency."""
    return read_documents(path, _MESSAGE, _Message)


class _Message:
    def __init__(self, number: int) -> None:
        self.totals = Totals(f"message {number}", balances="none")
        self._ids = Ids()
        self._created = self._settled = ""

    def take(self, part: Part, element: Element) -> Iterator[Item]:
        if part.name == "GrpHdr":
            yield from self._header(element)
        elif part.name == "CdtTrfTxInf":
            yield from self._transfer(element, part.line)

    def _header(self, header: Element) -> Iterator[Item]:
        number, total = text(header, "NbOfTxs"), text(header, "CtrlSum", "TtlIntrBkSttlmAmt")
        self._created, self._settled = text(header, "CreDtTm"), text(header, "IntrBkSttlmDt")
        self.totals.number = int(number) if _COUNT.fullmatch(number) else None
        try:
            self.totals.turnover = plain(total, "CtrlSum") if total else None
        except Fault as fault:
            yield fault.at(f"{self.totals.place}, GrpHdr")

    def _transfer(self, element: Element, line: int) -> Iterator[Item]:
        place = f"{self.totals.place}, transfer {self.totals.begin()}, line {line}"
        try:
            amount = -amount_at(element, "IntrBkSttlmAmt")
            yield self._row(element, as_text(amount))
            self.totals.book(amount)
        except Fault as fault:
            self.totals.refuse()
            yield fault.at(place)

    def _row(self, element: Element, amount: str) -> Entry:
        account = account_of(element, "DbtrAcct")
        if not account:
            raise Fault("DbtrAcct/Id", "missing", "names no account of the debtor")
        moment = text(element, "AccptncDtTm") or self._created
        if not moment:
            raise Fault("GrpHdr/CreDtTm", "missing", "has neither AccptncDtTm nor CreDtTm")
        settled = text(element, "IntrBkSttlmDt") or self._settled
        row = Entry(
            id=text(element, "PmtId/UETR").lower(),
            booked_at=iso_time(moment, "AccptncDtTm" if moment != self._created else "CreDtTm"),
            value_date=iso_date(settled, "IntrBkSttlmDt") if settled else "",
            amount=amount,
            currency=currency_of(element, "IntrBkSttlmAmt"),
            account=account,
            counterparty=text(element, "Cdtr/Nm"),
            counterparty_account=account_of(element, "CdtrAcct"),
            reference=reference(element, "PmtId/EndToEndId", "PmtId/TxId"),
            text=" ".join(
                line.text.strip() for line in element.findall("RmtInf/Ustrd") if line.text
            ),
            reversal=False,
            kind=text(
                element, "PmtTpInf/LclInstrm/Cd", "PmtTpInf/SvcLvl/Cd", "PmtTpInf/CtgyPurp/Cd"
            ),
        )
        if row.id:
            return row
        return with_id(row, self._ids, text(element, "PmtId/TxId", "PmtId/InstrId"))
