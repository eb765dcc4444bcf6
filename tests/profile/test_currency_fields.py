"""Amounts in several currencies: each with the decimals of its own, and never added up."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dashboard.format import amount
from model.features.intake import take
from model.files.rows import Rows
from model.files.sifting import sift
from tidegate.errors import ConfigError, Rejected
from tidegate.profile import Profile, load_profile
from tidegate.profile.currencies import minor_units
from tidegate.profile.number_types import MONEY_LIMIT

TEXT = """
id: id
account: user
time: time
money: amount
entities: [user]
fields:
  id: {type: string}
  user: {type: string}
  time: {type: time}
  amount:
    {type: money, currency: currency, text: true, min: -1000000000000000, max: 1000000000000000}
  currency: {type: currency, values: [EUR, JPY]}
features:
  euros: {op: expression, is: "amount * 0.0062 if currency == 'JPY' else amount"}
  sum: {op: sum, of: euros, by: user, window: 1h}
models: {online: {}}
thresholds: {review: 0.5, block: 0.9}
history: {simulate: 1000}
"""
codes = st.sampled_from(["EUR", "JPY", "KWD", "CLF", "USD", "VND"])


def load(folder: Path, text: str = TEXT) -> Profile:
    path = folder / "mine.yaml"
    path.write_text(text)
    return load_profile(path)


@pytest.fixture(scope="module")
def profile(tmp_path_factory: pytest.TempPathFactory) -> Profile:
    return load(tmp_path_factory.mktemp("currencies"))


def message(amount: float | str, code: str, name: str = "t") -> bytes:
    document = {"id": name, "user": "u", "time": 1_700_000_000, "amount": amount, "currency": code}
    return json.dumps(document).encode()


def written(minor: int, places: int) -> str:
    digits = f"{abs(minor):0{places + 1}d}"
    text = f"{digits[:-places]}.{digits[-places:]}" if places else digits
    return f"-{text}" if minor < 0 else text


@settings(deadline=None)
@given(rows=st.lists(st.tuples(st.integers(-MONEY_LIMIT, MONEY_LIMIT), codes), min_size=1))
def test_amounts_keep_the_minor_units_of_their_currencies(
    profile: Profile, rows: list[tuple[int, str]]
) -> None:
    texts = [written(minor, minor_units(code)) for minor, code in rows]
    for amounts in (texts, [json.loads(text) for text in texts]):
        raws = [message(value, row[1]) for value, row in zip(amounts, rows, strict=True)]
        intake = take(profile, raws, np.zeros(len(rows), np.int64))
        assert not intake.rejects
        assert intake.columns.amounts.tolist() == [minor for minor, _ in rows]
        assert intake.columns.values[:, 0].tolist() == [float(text) for text in texts]


@pytest.mark.parametrize(
    ("value", "code", "fault"),
    [
        (5000.5, "JPY", "amount: expected at most 0 decimals, as its currency has"),
        (1.005, "EUR", "amount: expected at most 2 decimals, as its currency has"),
        ("1.2345", "KWD", "amount: expected at most 3 decimals, as its currency has"),
        (0.1 + 0.2, "EUR", "amount: expected at most 2 decimals, as its currency has"),
        (1e13 + 1, "EUR", "amount: expected at most 1,000,000,000,000,000 minor units"),
        ("10000000000000.01", "EUR", "amount: expected at most 1,000,000,000,000,000 minor units"),
        (1, "eur", "currency: expected a currency of ISO 4217 in capital letters, such as EUR"),
        (1, "EURO", "currency: expected a currency of ISO 4217 in capital letters, such as EUR"),
        (1, "XQZ", "currency: expected a currency of ISO 4217 in capital letters, such as EUR"),
        (1, "XAU", "currency: expected a currency of ISO 4217 in capital letters, such as EUR"),
    ],
)
def test_what_a_currency_does_not_allow_is_refused_alone(
    profile: Profile, value: float | str, code: str, fault: str
) -> None:
    bad = message(value, code)
    with pytest.raises(Rejected) as caught:
        profile.decode(bad)
    assert caught.value.reason == "out_of_bounds"
    assert caught.value.detail.startswith(fault)
    assert [": ".join(found) for found in profile.faults(bad)] == [caught.value.detail]
    good = message(12.34, "EUR"), message(1234, "JPY")
    intake = take(profile, [good[0], bad, good[1]], np.zeros(3, np.int64))
    assert [(at, error.detail) for at, error in intake.rejects] == [(1, caught.value.detail)]
    assert intake.columns.amounts.tolist() == [1234, 1234]


FEE = "  fee: {type: money, currency: currency, optional: true, ignored: true}\nfeatures:"


@pytest.mark.parametrize(("field", "value"), [("fee", 1.005), ("amount", 1.005)])
def test_an_amount_is_refused_whatever_stands_beside_it(
    field: str, value: float, tmp_path: Path
) -> None:
    profile = load(tmp_path, TEXT.replace("features:", FEE))
    rows = [json.loads(message(1.25, "EUR")) for _ in range(3)]
    rows[0]["fee"] = 1.25
    rows[1][field] = value
    rows[2]["currency"] = "XQZ"
    lines = [json.dumps(row).encode() for row in rows]
    for few in (lines, lines[:2], lines[1:2]):
        intake = take(profile, few, np.zeros(len(few), np.int64))
        bad = [few.index(line) for line in lines[1:] if line in few]
        assert [at for at, _ in intake.rejects] == bad
        none = pa.RecordBatch.from_pydict({})
        numbers = np.arange(1, len(few) + 1)
        sent = Rows(numbers, [""] * len(few), few, np.zeros(len(few), np.int8), [], none)
        assert [one.number - 1 for one in sift(profile, sent).refused] == bad


def test_codes_are_checked_where_no_amount_names_them(tmp_path: Path) -> None:
    text = TEXT.replace(
        "currency: currency, text: true, min: -1000000000000000, max: 1000000000000000", ""
    )
    alone = load(tmp_path, text.replace("money: amount\n", ""))
    intake = take(alone, [message(1, "EUR"), message(1, "XQZ")], np.zeros(2, np.int64))
    assert [at for at, _ in intake.rejects] == [1]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("of: euros", "of: amount", "features.sum.of: the amounts of amount are in several"),
        ("currency: currency", "currency: money", "fields.amount.currency: expected the name of"),
        ("currency: currency", "currency: user", "fields.amount.currency: expected the name of"),
        ("values: [EUR, JPY]", "optional: true", "fields.amount.currency: expected the name of"),
        ("text: true", "decimals: 3", "fields.amount.decimals: the currency says how many"),
        ("[EUR, JPY]", "[EUR, YEN]", "fields.currency: no currencies of ISO 4217: YEN"),
        ("max: 1000", "max: 1001", "fields.amount: amounts may reach at most"),
        (
            "{review: 0.5, block: 0.9}",
            "{cost: {review: 1, fraud: amount, block: 40}}",
            "thresholds: cost.fraud: without `money` in one currency there is no amount",
        ),
    ],
)
def test_what_would_add_up_currencies_is_refused_by_the_check(
    old: str, new: str, message: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=message.replace(".", r"\.")):
        load(tmp_path, TEXT.replace(old, new, 1))


def test_a_page_shows_an_amount_with_the_decimals_of_its_currency(profile: Profile) -> None:
    assert amount(profile, 123_456, {"currency": "JPY"}) == "123\u2009456\u00a0JPY"
    assert amount(profile, 123_456, {"currency": "KWD"}) == "123.456\u00a0KWD"
