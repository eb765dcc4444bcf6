"""MT940 and MT950 statements (SWIFT), line by line through the patterns of the mt-940 library.

What the library makes of a line is not taken, since it stops at the first line it cannot read, and
(5.1.1) leaves an `RC` positive unless it is told, and the entry date in the value date's year when
they are 36 to 329 days apart.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

from model.files.formats.entry import NO_REFERENCE, Entry, Fault, Ids, Item, Items, Told, with_id
from model.files.formats.money import as_text, with_comma
from model.files.formats.mt940_details import details
from model.files.formats.times import at_midnight, day_of, nearest
from model.files.formats.totals import Totals
from model.files.formats.whole import whole

MOST_BYTES = 512 << 20
_TAG = re.compile(r":(\d\d[A-Z]?|NS):(.*)", re.DOTALL)
_END = re.compile(r"-(\}.*)?")
_SIGNS = {"C": 1, "D": -1, "RC": -1, "RD": 1}


class Field(NamedTuple):
    """A field of a statement: its tag, its text over all of its lines, and its first line."""

    tag: str
    text: str
    line: int


def read(path: Path) -> Items:
    """Every statement line (`:61:`) with what `:86:` says of it."""
    text, told = _decoded(whole(path, MOST_BYTES))
    yield from told
    statement = None
    number = 0
    for field, said in _described(_fields(text)):
        if field.tag == "20" or statement is None:
            if statement is not None:
                yield from statement.totals.told()
            number += 1
            statement = _Statement(number)
        yield from statement.take(field, said)
    if statement is not None:
        yield from statement.totals.told()


def _decoded(content: bytes) -> tuple[str, list[Told]]:
    try:
        return content.decode("utf-8-sig"), []
    except UnicodeDecodeError:
        words = "is not UTF-8; its letters were read as Windows-1252"
        return content.decode("cp1252", "replace"), [Told("file", words)]


def _fields(text: str) -> Iterator[Field]:
    """The fields between the envelopes of the messages."""
    tag, first = "", 0
    of_field: list[str] = []
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    for number, line in enumerate(lines, start=1):
        found = _TAG.fullmatch(line.removeprefix("{4:"))
        if found or _END.fullmatch(line.rstrip()):
            if tag:
                yield Field(tag, "\n".join(of_field), first)
            tag, of_field = (found[1], [found[2].rstrip()]) if found else ("", [])
            first = number
        elif tag and line.strip():
            of_field.append(line.rstrip())
    if tag:
        yield Field(tag, "\n".join(of_field), first)


def _described(fields: Iterator[Field]) -> Iterator[tuple[Field, str]]:
    """Each field with what the `:86:` behind it say: some banks have several for an entry, and
    fields of their own (`:NS:`) between.
    """
    before: Field | None = None
    said: list[str] = []
    for field in fields:
        if before is not None and field.tag in ("86", "NS"):
            said += [field.text] if field.tag == "86" else []
            continue
        if before is not None:
            yield before, "\n".join(said)
        before, said = field, []
    if before is not None:
        yield before, "\n".join(said)


class _Statement:
    def __init__(self, number: int) -> None:
        self.totals = Totals(f"statement {number}", balances="must")
        self._account = self._currency = ""
        self._ids = Ids()

    def take(self, field: Field, said: str) -> Iterator[Item]:
        place = f"{self.totals.place}, line {field.line}"
        try:
            if field.tag in ("25", "25P"):
                self._account = field.text.splitlines()[0].strip() if field.text else ""
            elif field.tag in ("28", "28C"):
                self._ids.sequence = field.text
            elif field.tag in ("60F", "60M"):
                self.totals.opening = self._balance(field)
            elif field.tag in ("62F", "62M"):
                self.totals.closing = self._balance(field)
            elif field.tag == "61":
                place = f"{self.totals.place}, entry {self.totals.begin()}, line {field.line}"
                yield self._entry(field, said)
        except Fault as fault:
            if field.tag == "61":
                self.totals.refuse()
            yield fault.at(place)

    def _balance(self, field: Field) -> Decimal:
        found = parsed(field)
        self._currency = (found["currency"] or "").upper()
        amount = _amount(found["amount"], self._currency, field.tag)
        return amount * _SIGNS[(found["status"] or "").upper()]

    def _entry(self, field: Field, said: str) -> Entry:
        if not self._account:
            raise Fault("25", "missing", "the statement names no account")
        if not self._currency:
            raise Fault("60F", "missing", "the statement has no opening balance with a currency")
        found = parsed(field)
        if not found["id"]:
            raise Fault("61", "line", "expected a type such as NTRF behind an amount such as 12,50")
        mark = (found["status"] or "").upper()
        amount = _amount(found["amount"], self._currency, "61") * _SIGNS[mark]
        valued, booked = _dates(found)
        bank = (found["bank_reference"] or "").strip()
        more = details(said)
        own = (found["customer_reference"] or "").strip()
        row = Entry(
            id="",
            booked_at=at_midnight(booked.isoformat()),
            value_date=valued.isoformat(),
            amount=as_text(amount),
            currency=self._currency,
            account=self._account,
            counterparty=more.name,
            counterparty_account=more.account,
            reference=next(
                (r for r in (more.reference, own, bank) if r and r not in NO_REFERENCE), ""
            ),
            text=more.text or (found["extra_details"] or "").strip(),
            kind="-".join(filter(None, (found["id"].upper(), more.code))),
            reversal=mark.startswith("R"),
        )
        self.totals.book(amount)
        return with_id(row, self._ids, bank)


def parsed(field: Field) -> dict[str, str | None]:
    """The parts of a field by the library's pattern. Raises Fault where it does not match."""
    from mt940.tags import TAG_BY_ID

    tag = TAG_BY_ID.get(field.tag) or TAG_BY_ID[int(field.tag[:2])]
    match = tag.re.match(field.text)
    if match is None:
        raise Fault(field.tag, "line", "is not written as SWIFT has it, see docs/formats.md")
    parts: dict[str, str | None] = match.groupdict()
    return parts


def _amount(text: str | None, currency: str, tag: str) -> Decimal:
    return with_comma(text or "", currency, tag)


def _dates(found: dict[str, str | None]) -> tuple[date, date]:
    """Value date and entry date. The entry date has no year: it is the one nearest to the value
    date.
    """
    year, month, day = found["year"] or "", found["month"] or "", found["day"] or ""
    valued = day_of(f"20{year}{month}{day}", "61")
    entered = f"{found['entry_month'] or ''}{found['entry_day'] or ''}".strip()
    return valued, nearest(entered, valued, "61") if entered else valued
