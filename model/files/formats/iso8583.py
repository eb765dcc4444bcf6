"""ISO 8583 messages as JSON objects of their fields, as pyiso8583 and most switches give them.

Amounts are minor units of the currency beside them, and never read as units. Versions 1987 (MTI
0...) and 1993 (1...); 2003 writes amounts in another way and is refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path

from model.files.formats.entry import REPEAT, Entry, Fault, Ids, Items
from model.files.formats.iso8583_fields import Message, messages
from model.files.formats.iso8583_times import moment, settlement
from model.files.formats.money import as_text, by_number, minor_units

_CLASSES = {"1": "authorization", "2": "financial", "4": "reversal"}
_ANSWERS = "135"
_CASH_BACK = "40"
_BLOCK = 20


def read(path: Path, last_day: date | None) -> Items:
    """Every request, advice and notification that moves money on a card or account.

    `last_day` is the day on which the file ends, for the dates without a year.
    """
    ids = Ids()
    for number, line, message in messages(path):
        place = f"message {number}, line {line}" if line else f"message {number}"
        try:
            if isinstance(message, Fault):
                raise message
            yield _row(message, ids, last_day)
        except Fault as fault:
            yield fault.at(place)


def _row(message: Message, ids: Ids, last_day: date | None) -> Entry:
    word = _class(message)
    account = _account(message)
    currency = by_number(message["49"], "49")
    amount = _signed(message, currency)
    booked_at = moment(message, last_day)
    key = [account, message["11"], message["37"], message["32"], as_text(amount)]
    id_, count = ids.numbered(word, booked_at, currency, *key)
    if count > 1 and (message["11"] or message["37"]):
        raise Fault("0", REPEAT, "repeats a message that stands before it")
    return Entry(
        id=id_,
        booked_at=booked_at,
        value_date=settlement(message, booked_at),
        amount=as_text(amount),
        currency=currency,
        account=account,
        counterparty=" ".join(message["43"].split()),
        counterparty_account=message["42"],
        reference=message["37"],
        kind=f"{word} {message.digits('3', 6)[:2]}",
        reversal=word == "reversal",
        merchant_category=message.digits("18" if message.version == "0" else "26", 4),
        terminal=message["41"],
        cash_back=_cash_back(message, currency),
    )


def _class(message: Message) -> str:
    """What kind of message it is. Raises Fault for those that are no payment."""
    mti = message.mti
    word = _CLASSES.get(mti[1])
    if word is None:
        raise Fault("0", "not_a_payment", "is no authorization, financial message or reversal")
    if mti[2] in _ANSWERS:
        raise Fault("0", "not_a_payment", "is an answer; the payment is its request")
    return word


def _account(message: Message) -> str:
    """The card's number, or the account's where there is no card."""
    track = message["35"].upper().replace("D", "=").partition("=")[0]
    account = message["2"] or track or message["102"]
    if not account:
        raise Fault("2", "missing", "has neither a card number (2, 35) nor an account (102)")
    return account


def _signed(message: Message, currency: str) -> Decimal:
    """Field 4 as the account sees it: less for purchases, more for refunds, turned by reversals."""
    amount = minor_units(message.digits("4", 12), currency, "4")
    code = message.digits("3", 6)
    if not code:
        raise Fault("3", "missing", "has no processing code, so its direction is unknown")
    if code[0] not in "01245":
        raise Fault("3", "not_a_payment", "is an inquiry or a service, and moves no money")
    sign = 1 if code[0] == "2" else -1
    if message.mti[1] != "4":
        return amount * sign
    return (amount - _kept(message, currency)) * -sign


def _kept(message: Message, currency: str) -> Decimal:
    """What a partial reversal leaves of the payment: the first amount of field 95."""
    if not message["95"]:
        return Decimal(0)
    return minor_units(message["95"][:12], currency, "95")


def _cash_back(message: Message, currency: str) -> str:
    """The amount of type 40 among the additional amounts (54); "" for none."""
    amounts = message.raw("54")
    if len(amounts) % _BLOCK:
        raise Fault("54", "amount", f"expected blocks of {_BLOCK} characters")
    for block in _blocks(amounts):
        if block[2:4] == _CASH_BACK:
            if by_number(block[4:7], "54") != currency:
                raise Fault("54", "currency", "its currency is not that of field 49")
            return as_text(minor_units(block[8:], currency, "54"))
    return ""


def _blocks(amounts: str) -> Iterator[str]:
    return (amounts[at : at + _BLOCK] for at in range(0, len(amounts), _BLOCK))
