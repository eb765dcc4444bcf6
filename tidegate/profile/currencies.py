"""ISO 4217: how many decimals an amount in a currency has.

The table is that of the package iso4217. Where CLDR (and so Babel, ICU and many a bank's export)
shows fewer, as none for IQD, ISO's number holds here: an amount is kept in minor units, and what
people show is not what they book.
"""

from __future__ import annotations

from functools import cache

EXPECTED = "expected a currency of ISO 4217 in capital letters, such as EUR"
MOST_DECIMALS = 4
"""Of any currency (CLF and UYW)."""
_WITHDRAWN = {
    "ANG": 2,
    "BGN": 2,
    "BYR": 0,
    "CUC": 2,
    "EEK": 2,
    "HRK": 2,
    "LTL": 2,
    "LVL": 2,
    "MRO": 2,
    "SLL": 2,
    "STD": 2,
    "VEF": 2,
    "ZMK": 2,
    "ZWL": 2,
}
"""Withdrawn since 2011: histories hold them, and a code that the table loses with an update belongs
here, or a log that holds it would fold otherwise. ISO's own list of withdrawn codes has no
decimals."""


def minor_units(code: str) -> int:
    """The decimals of an amount in the currency: 2 for EUR, 0 for JPY, 3 for KWD.

    Raises ValueError for what is no code of ISO 4217, written as there in capital letters, and for
    codes without minor units, such as gold (XAU).
    """
    found = _table().get(code)
    if found is None:
        raise ValueError(EXPECTED)
    return found


def is_currency(code: str) -> bool:
    """Whether `minor_units` knows the code."""
    return code in _table()


@cache
def _table() -> dict[str, int]:
    from iso4217 import Currency

    current = {currency.code: currency.exponent for currency in Currency}
    return _WITHDRAWN | {code: places for code, places in current.items() if places is not None}
