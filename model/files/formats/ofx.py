"""OFX and QFX statements of banks and cards, 1.x (SGML) and 2.x (XML).

ofxtools makes the tree, with or without closing tags. Times are read here: it refuses the zone
`[+5.5:IST]`, and takes `[+5.50:IST]` for five hours and fifty minutes.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

from model.files.formats.entry import Entry, Fault, Ids, Item, Items, Told, with_id
from model.files.formats.money import as_text, with_comma
from model.files.formats.ofx_times import ofx_time
from model.files.formats.times import at_midnight
from model.files.formats.totals import Totals
from model.files.formats.whole import whole
from tidegate.errors import ConfigError
from tidegate.words import count

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element  # nosec B405 # its type alone: ofxtools parses

MOST_BYTES = 256 << 20
_STATEMENTS = ("STMTRS", "CCSTMTRS")
_ACCOUNTS = ("BANKACCTFROM", "CCACCTFROM")
_CODECS = {"1252": "cp1252", "ISO-8859-1": "latin-1", "8859-1": "latin-1"}
_CHARSET = re.compile(r"CHARSET:\s*([\w-]+)")
_TRANSACTION = re.compile(r"<STMTTRN\s*>", re.IGNORECASE)
_OPENED = re.compile(r"<([A-Z0-9.]+)>\s*(?=<)")
_AMOUNT = re.compile(r"([+-]?)([\d.,]+)")


def read(path: Path) -> Items:
    """Every transaction of every statement, bank accounts' and cards'."""
    message, told = _message(whole(path, MOST_BYTES), path)
    yield from told
    number = found = 0
    for element in _tree(message, path).iter():
        if element.tag in _STATEMENTS:
            number += 1
            found += sum(1 for _ in element.iter("STMTTRN"))
            yield from _statement(element, number)
    missed = len(_TRANSACTION.findall(message)) - found
    if missed:
        words = f"{count(missed, 'transaction')} outside of bank and card statements: not read"
        yield Told("file", words, good=False)


def _message(content: bytes, path: Path) -> tuple[str, list[Told]]:
    """What stands behind the header, in the encoding that the header names.

    ofxtools reads headers too, but not those of OFX 2.3, of `CHARSET:8859-1` and other real ones.
    """
    header, begin, body = content.partition(b"<OFX>")
    if not begin or b"</OFX>" not in body[-1024:]:
        raise ConfigError(f"{path}: has no <OFX> with its end: it is no OFX, or it is cut off")
    charset = _CHARSET.search(header.decode("latin-1").upper())
    codec = _CODECS.get(charset[1] if charset and b"UTF-8" not in header.upper() else "", "utf-8")
    try:
        return "<OFX>" + body.decode(codec), []
    except UnicodeDecodeError:
        words = f"is not {codec}, as its header says; its letters were read as Windows-1252"
        return "<OFX>" + body.decode("cp1252", "replace"), [Told("file", words)]


def _tree(message: str, path: Path) -> Element:
    from ofxtools.Parser import TreeBuilder

    builder = TreeBuilder()
    try:
        builder.feed(_without_empty(message))
        root: Element = builder.close()
    except (SyntaxError, AssertionError, IndexError):
        raise ConfigError(f"{path}: its tags are not nested as OFX has them") from None
    return root


def _without_empty(message: str) -> str:
    """The message without its empty elements, which SGML does not close.

    ofxtools takes them for aggregates that hold what comes after them. Aggregates are always
    closed, so a tag that is closed nowhere is an element's.
    """
    closed = set(re.findall(r"</([A-Z0-9.]+)>", message))
    return _OPENED.sub(lambda match: match[0] if match[1] in closed else "", message)


def _statement(statement: Element, number: int) -> Iterator[Item]:
    totals = Totals(f"statement {number}", balances="none")
    account, currency, ids = _account(statement), _text(statement, "CURDEF"), Ids()
    for element in statement.iter("STMTTRN"):
        place = f"{totals.place}, transaction {totals.begin()}"
        try:
            yield _row(element, account, currency, ids)
        except Fault as fault:
            yield fault.at(place)


def _row(element: Element, account: str, currency: str, ids: Ids) -> Entry:
    if not account:
        raise Fault("ACCTID", "missing", "the statement names no account")
    if _text(element, "CORRECTFITID"):
        raise Fault("CORRECTFITID", "correction", "corrects an earlier one: do so by hand")
    if _text(element, "CURRENCY/CURSYM"):
        currency = _text(element, "CURRENCY/CURSYM")
    row = Entry(
        id="",
        booked_at=at_midnight(ofx_time(_text(element, "DTPOSTED"), "DTPOSTED")),
        value_date=_day(element, "DTAVAIL"),
        amount=as_text(_amount(_text(element, "TRNAMT"), currency)),
        currency=currency,
        account=account,
        counterparty=_text(element, "NAME", "PAYEE/NAME"),
        counterparty_account=_text(element, "BANKACCTTO/ACCTID", "CCACCTTO/ACCTID"),
        reference=_text(element, "REFNUM", "CHECKNUM", "FITID"),
        text=_text(element, "MEMO"),
        kind=_text(element, "TRNTYPE"),
        reversal=False,
        merchant_category=_text(element, "SIC"),
    )
    return with_id(row, ids, _text(element, "FITID"))


def _account(statement: Element) -> str:
    for path in _ACCOUNTS:
        number = _text(statement, f"{path}/ACCTID")
        if number:
            return "/".join(filter(None, (_text(statement, f"{path}/BANKID"), number)))
    return ""


def _amount(text: str, currency: str) -> Decimal:
    """A signed amount. A comma may be its decimal mark, and there is no mark of thousands."""
    match = _AMOUNT.fullmatch(text)
    if not text or match is None:
        raise Fault("TRNAMT", "amount", "expected a signed number such as -12.50")
    amount = with_comma(match[2], currency, "TRNAMT")
    return -amount if match[1] == "-" else amount


def _day(element: Element, name: str) -> str:
    moment = _text(element, name)
    return ofx_time(moment, name)[:10] if moment else ""


def _text(element: Element, *paths: str) -> str:
    for path in paths:
        found = html.unescape(element.findtext(path) or "").strip()
        if found:
            return found
    return ""
