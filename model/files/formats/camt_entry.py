"""One entry (`Ntry`) of a camt statement as rows.

`CdtDbtInd` is the direction of the booking itself. `RvslInd` says that it takes back a booking of
the other direction, and turns no sign round.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING

from model.files.formats.entry import Entry, Fault, Ids, Item, Told, with_id
from model.files.formats.money import as_text
from model.files.formats.times import at_midnight, iso_date, iso_time
from model.files.formats.xml import account_of, amount_at, currency_of, reference, text

if TYPE_CHECKING:
    from lxml.etree import _Element as Element

NOT_BOOKED = "not_booked"
"""The reason of an entry that the bank only announces."""
_SIGNS = {"CRDT": 1, "DBIT": -1}
_REFERENCES = ("Refs/EndToEndId", "RmtInf/Strd/CdtrRefInf/Ref", "Refs/TxId", "Refs/InstrId")
_NAMES = ("Pty/Nm", "Nm")
_TRUE = {"true", "1"}


@dataclass
class Frame:
    """What all entries of a statement share."""

    account: str = ""
    ids: Ids = field(default_factory=Ids)


def rows(frame: Frame, entry: Element, place: str) -> Iterator[Item]:
    """The entry's row, or a row for each of its transactions. Raises Fault naming the field."""
    if text(entry, "Sts/Cd", "Sts/Prtry", "Sts") not in ("BOOK", ""):
        raise Fault("Sts", NOT_BOOKED, "is not booked yet; it comes again when it is")
    if not frame.account:
        raise Fault("Acct/Id", "missing", "the statement names no account")
    booked = signed(entry)
    details = entry.findall("NtryDtls/TxDtls")
    if len(details) < 2:
        yield _row(frame, entry, details[0] if details else entry, booked)
        return
    amounts = [_part(entry, detail) for detail in details]
    known = [amount for amount in amounts if amount is not None]
    if len(known) == len(details) and sum(known) == booked:
        for detail, amount in zip(details, known, strict=True):
            yield _row(frame, entry, detail, amount)
        return
    yield Told(place, f"one row for {len(details)} transactions: their amounts do not add up")
    yield _row(frame, entry, entry, booked)


def signed(element: Element) -> Decimal:
    """`Amt` with the sign of `CdtDbtInd`. Raises Fault."""
    return amount_at(element, "Amt") * _sign(element)


def _sign(element: Element) -> int:
    sign = _SIGNS.get(text(element, "CdtDbtInd"))
    if sign is None:
        raise Fault("CdtDbtInd", "direction", "expected CRDT or DBIT")
    return sign


def _part(entry: Element, detail: Element) -> Decimal | None:
    """A transaction's share of its batch, signed; None where the message does not say."""
    currency = currency_of(entry, "Amt")
    for path in ("Amt", "AmtDtls/TxAmt/Amt", "AmtDtls/InstdAmt/Amt"):
        if currency_of(detail, path) == currency:
            return amount_at(detail, path) * _sign(detail if text(detail, "CdtDbtInd") else entry)
    return None


def _row(frame: Frame, entry: Element, detail: Element, amount: Decimal) -> Entry:
    booked_at = _day(entry, "BookgDt") or _day(entry, "ValDt")
    if not booked_at:
        raise Fault("BookgDt", "missing", "has neither a booking date nor a value date")
    reversal = text(detail, "RvslInd") or text(entry, "RvslInd")
    name, account = _counterparty(frame, entry, detail, reversal in _TRUE)
    bank = text(detail, "Refs/AcctSvcrRef") or text(entry, "AcctSvcrRef")
    row = Entry(
        id="",
        booked_at=at_midnight(booked_at),
        value_date=_day(entry, "ValDt")[:10],
        amount=as_text(amount),
        currency=currency_of(entry, "Amt"),
        account=frame.account,
        counterparty=name,
        counterparty_account=account,
        reference=reference(detail, *_REFERENCES) or text(entry, "NtryRef") or bank,
        text=_words(entry, detail),
        kind=_kind(detail) or _kind(entry),
        reversal=reversal in _TRUE,
    )
    return with_id(row, frame.ids, bank)


def _day(element: Element, name: str) -> str:
    """A date, or the time where the message gives one; "" for neither."""
    moment, day = text(element, f"{name}/DtTm"), text(element, f"{name}/Dt")
    if moment:
        return iso_time(moment, f"{name}/DtTm")
    return iso_date(day, f"{name}/Dt") if day else ""


def _counterparty(frame: Frame, entry: Element, detail: Element, reversal: bool) -> tuple[str, str]:
    """Name and account of the other side.

    The parties of a reversal are those of what it takes back, so the account decides who is who
    where it is named, and else the direction of the first booking.
    """
    debtor, creditor = _party(detail, "Dbtr"), _party(detail, "Cdtr")
    if frame.account in (debtor[1], creditor[1]) and debtor[1] != creditor[1]:
        return creditor if debtor[1] == frame.account else debtor
    paid = text(detail, "CdtDbtInd") or text(entry, "CdtDbtInd")
    return creditor if (paid == "DBIT") != reversal else debtor


def _party(detail: Element, role: str) -> tuple[str, str]:
    paths = (f"RltdPties/{who}/{name}" for who in (role, f"Ultmt{role}") for name in _NAMES)
    name = text(detail, *paths)
    return name, account_of(detail, f"RltdPties/{role}Acct")


def _words(entry: Element, detail: Element) -> str:
    lines = [(line.text or "").strip() for line in detail.findall("RmtInf/Ustrd")]
    return (
        " ".join(filter(None, lines)) or text(detail, "AddtlTxInf") or text(entry, "AddtlNtryInf")
    )


def _kind(element: Element) -> str:
    domain = [text(element, f"BkTxCd/Domn/{path}") for path in ("Cd", "Fmly/Cd", "Fmly/SubFmlyCd")]
    return "-".join(filter(None, domain)) or text(element, "BkTxCd/Prtry/Cd")
