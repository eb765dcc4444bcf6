"""Decimals of currencies: ISO 4217's, in whatever way others show them."""

from __future__ import annotations

import pytest

from tidegate.profile.currencies import MOST_DECIMALS, minor_units


@pytest.mark.parametrize(
    ("code", "places"),
    [("EUR", 2), ("JPY", 0), ("KWD", 3), ("CLF", 4), ("ISK", 0), ("UGX", 0), ("HRK", 2)],
)
def test_a_currency_has_the_decimals_of_iso_4217(code: str, places: int) -> None:
    assert minor_units(code) == places


@pytest.mark.parametrize(
    ("code", "places"), [("IQD", 3), ("LBP", 2), ("IRR", 2), ("MMK", 2), ("HUF", 2), ("RSD", 2)]
)
def test_where_cldr_shows_fewer_decimals_iso_holds(code: str, places: int) -> None:
    assert minor_units(code) == places


@pytest.mark.parametrize("code", ["", "eur", "Eur", "EURO", "978", "XAU", "XXX", "BTC", " EUR"])
def test_what_is_no_currency_is_refused(code: str) -> None:
    with pytest.raises(ValueError, match="ISO 4217"):
        minor_units(code)


def test_none_has_more_decimals_than_the_bound_that_others_rely_on() -> None:
    from iso4217 import Currency

    assert max(currency.exponent or 0 for currency in Currency) == MOST_DECIMALS
