"""Amounts come out of every way of writing them to the last minor unit."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.files.formats.entry import Fault
from model.files.formats.money import as_text, by_number, minor_units, units, with_comma

CURRENCIES = {"JPY": 0, "EUR": 2, "KWD": 3, "CLF": 4}


@given(st.integers(0, 10**12 - 1), st.sampled_from(sorted(CURRENCIES)))
def test_an_amount_keeps_every_digit(amount: int, currency: str) -> None:
    places = CURRENCIES[currency]
    whole, fraction = divmod(amount, 10**places)
    text = f"{whole}.{fraction:0{places}}" if places else str(whole)
    exact = Decimal(amount).scaleb(-places)
    assert minor_units(str(amount), currency, "4") == exact
    assert as_text(minor_units(str(amount), currency, "4")) == text
    assert as_text(units(text, currency, "Amt")) == text
    assert as_text(units(f"000{text}00".rstrip("0") if places else text, currency, "Amt")) == text
    assert as_text(with_comma(text.replace(".", ","), currency, "61")) == text
    assert as_text(-exact) == (f"-{text}" if amount else text)


@given(st.text(max_size=8))
def test_whatever_is_no_digits_is_refused_as_minor_units(text: str) -> None:
    if not (text.isascii() and text.isdecimal()):
        with pytest.raises(Fault):
            minor_units(text, "EUR", "4")


def test_numeric_codes() -> None:
    assert [by_number(code, "49") for code in ("978", "392", "036", "36", "8")] == [
        "EUR",
        "JPY",
        "AUD",
        "AUD",
        "ALL",
    ]
