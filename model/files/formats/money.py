"""Amounts as exact decimal text with the decimals of their currency (ISO 4217)."""

from __future__ import annotations

import re
from decimal import Decimal
from functools import cache

from model.files.formats.entry import Fault
from tidegate.profile import currencies

_PLAIN = re.compile(r"\d{1,18}(\.\d*)?|\.\d+", re.ASCII)
_DIGITS = re.compile(r"\d{1,18}", re.ASCII)


def with_comma(text: str, currency: str, field: str) -> Decimal:
    """An unsigned amount whose decimal mark is a comma.

    Raises Fault also for `1,200` in a currency of two decimals, which may be twelve hundred.
    """
    whole, comma, fraction = text.partition(",")
    if len(fraction) > decimals(currency, field):
        raise Fault(field, "amount", f"more digits behind the comma than {currency} has decimals")
    return units(f"{whole}.{fraction}" if comma else text, currency, field)


def units(text: str, currency: str, field: str) -> Decimal:
    """An unsigned amount written in units, such as `12.5`, with its currency's decimals.

    Raises Fault for what is no such number, and for more decimals than the currency has.
    """
    places = decimals(currency, field)
    amount = plain(text, field)
    exact = amount.quantize(Decimal(1).scaleb(-places))
    if exact != amount:
        raise Fault(field, "amount", f"more decimals than {currency} has ({places})")
    return exact


def plain(text: str, field: str) -> Decimal:
    """Digits with at most one decimal point. Raises Fault for anything else."""
    if not _PLAIN.fullmatch(text):
        raise Fault(field, "amount", "expected digits with at most one decimal mark, and no sign")
    return Decimal(text)


def minor_units(text: str, currency: str, field: str) -> Decimal:
    """An amount of minor units, such as `1250` cents, in units: never read as units.

    Raises Fault for whatever is not digits alone.
    """
    if not _DIGITS.fullmatch(text):
        raise Fault(
            field, "amount", "expected minor units: digits alone, without decimal mark or sign"
        )
    return Decimal(text).scaleb(-decimals(currency, field))


def as_text(amount: Decimal) -> str:
    """A signed amount as text, all its decimals kept; zero has no sign."""
    return f"{amount + 0:f}"


def decimals(currency: str, field: str) -> int:
    """Decimals of a currency by ISO 4217. Raises Fault for a code that has none."""
    try:
        return currencies.minor_units(currency)
    except ValueError as error:
        raise Fault(field, "currency", str(error)) from None


def by_number(code: str, field: str) -> str:
    """The letters of a numeric code: `978` is EUR. The letters themselves may stand there, too.

    Raises Fault for an unknown one.
    """
    letters = code if currencies.is_currency(code) else _numbers().get(code.zfill(3))
    if letters is None:
        raise Fault(field, "currency", "expected a currency code of ISO 4217, such as 978")
    return letters


@cache
def _numbers() -> dict[str, str]:
    from iso4217 import Currency

    return {
        f"{currency.number:03}": currency.code
        for currency in Currency
        if currency.number is not None
    }
