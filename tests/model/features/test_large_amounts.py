"""Windows over amounts up to 10^15 minor units, against Python's own whole numbers."""

from __future__ import annotations

import json
import math
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from model.features import exact
from model.features.intake import take
from model.features.plan import Plan
from model.features.state import KeyedState
from tests.model.features.support import START_US
from tidegate.profile import Profile, load_profile
from tidegate.profile.number_types import MONEY_LIMIT, NARROW_LIMIT

PROFILE = """
id: id
account: user
time: time
money: amount
entities: [user]
fields:
  id: {{type: string}}
  user: {{type: string}}
  time: {{type: time}}
  amount: {{type: money, min: {low}, max: {high}}}
features:
  out: {{op: expression, is: "amount if amount > 0 else 0"}}
  count: {{op: count, by: user, window: 1h}}
  sum: {{op: sum, of: amount, by: user, window: 1h}}
  mean: {{op: mean, of: amount, by: user, window: 1h}}
  deviation: {{op: deviation, of: amount, by: user, window: 1h}}
  out_sum: {{op: sum, of: out, by: user, window: 1h}}
models: {{online: {{}}}}
thresholds: {{review: 0.5, block: 0.9}}
history: {{simulate: 1000}}
"""
words = st.integers(-(2**63), 2**63 - 1)
large = st.integers(-MONEY_LIMIT, MONEY_LIMIT)
near = st.integers(MONEY_LIMIT - 20, MONEY_LIMIT)
small = st.integers(-2000, 2000)
amounts = st.lists(large | near | small, min_size=1, max_size=40) | st.lists(
    near, min_size=2, max_size=40
)


def profile(folder: Path, limit: int) -> Profile:
    file = folder / f"p{limit}.yaml"
    file.write_text(PROFILE.format(low=-limit // 100, high=limit // 100))
    return load_profile(file)


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> Profile:
    return profile(tmp_path_factory.mktemp("wide"), MONEY_LIMIT)


@pytest.fixture(scope="module")
def narrow(tmp_path_factory: pytest.TempPathFactory) -> Profile:
    return profile(tmp_path_factory.mktemp("narrow"), NARROW_LIMIT)


def folded(profile: Profile, minor: list[int], order: list[int] | None = None) -> dict[str, float]:
    """The features of the last of some amounts of one account, all in half an hour; the others
    came in a certain `order`.
    """
    n = len(minor)
    places = np.array([*(order or range(n - 1)), n - 1])
    values = np.full((n, len(profile.values)), np.nan)
    values[:, 0] = np.array(minor)[places] / 100
    times = START_US + 1_800_000_000 // n * places.astype(np.int64)
    keys = np.ones(n, np.int64)
    state = KeyedState(Plan(profile, 0))
    state.begin()
    state.fold(keys, keys[:, None], times, np.maximum.accumulate(times), values)
    state.commit()
    return dict(zip(profile.values, values[-1].tolist(), strict=True))


def check(profile: Profile, minor: list[int]) -> None:
    found, n = folded(profile, minor), len(minor)
    total, squares = sum(minor), sum(amount * amount for amount in minor)
    assert found["count"] == n
    assert found["sum"] == float(total) / 100
    assert found["mean"] == float(total) / n / 100
    variance = Fraction(squares, n) - Fraction(total, n) ** 2
    assert found["deviation"] == pytest.approx(math.sqrt(variance) / 100, rel=1e-12, abs=0)
    out = sum(amount for amount in minor if amount > 0)
    assert found["out_sum"] == pytest.approx(out / 100, rel=1e-15 * n)


@settings(deadline=None)
@given(minor=amounts)
@example(minor=[MONEY_LIMIT, -MONEY_LIMIT] * 3)
@example(minor=[3_000_000_001])
def test_amounts_up_to_the_limit_count_exactly(wide: Profile, minor: list[int]) -> None:
    check(wide, minor)


@pytest.mark.parametrize("amount", [MONEY_LIMIT, -MONEY_LIMIT, MONEY_LIMIT - 1])
def test_sums_that_fit_no_word_are_exact(wide: Profile, amount: int) -> None:
    check(wide, [MONEY_LIMIT, *[amount] * 20_000])


@settings(deadline=None)
@given(minor=st.lists(st.integers(-NARROW_LIMIT, NARROW_LIMIT) | small, min_size=1, max_size=40))
@example(minor=[NARROW_LIMIT - 1, NARROW_LIMIT] * 500)
def test_a_deviation_of_smaller_amounts_is_exact_as_well(narrow: Profile, minor: list[int]) -> None:
    found, n = folded(narrow, minor), len(minor)
    variance = Fraction(sum(amount**2 for amount in minor), n) - Fraction(sum(minor), n) ** 2
    assert found["deviation"] == pytest.approx(math.sqrt(variance) / 100, rel=1e-12, abs=0)


@settings(deadline=None)
@given(data=st.data(), minor=amounts)
def test_the_order_of_amounts_changes_no_bit(
    wide: Profile, minor: list[int], data: st.DataObject
) -> None:
    order = data.draw(st.permutations(range(len(minor) - 1)))
    assert folded(wide, minor, order) == folded(wide, minor)


def test_a_payment_whose_pane_is_gone_counts_itself(wide: Profile) -> None:
    values = np.full((2, len(wide.values)), np.nan)
    values[:, 0] = 12.34, MONEY_LIMIT / 100
    times = START_US + np.array([3 * 3_600_000_000, 0])
    keys = np.ones(2, np.int64)
    state = KeyedState(Plan(wide, 0))
    state.begin()
    state.fold(keys, keys[:, None], times, np.maximum.accumulate(times), values)
    found = dict(zip(wide.values, values[-1].tolist(), strict=True))
    assert (found["count"], found["sum"], found["deviation"]) == (1, MONEY_LIMIT / 100, 0)


@settings(deadline=None)
@given(places=st.integers(0, 6), amounts=st.lists(large, min_size=1, max_size=20))
@example(places=0, amounts=[MONEY_LIMIT, -MONEY_LIMIT])
@example(places=2, amounts=[MONEY_LIMIT - 1, 3_000_000_001, 35, -7])
def test_every_minor_unit_survives_json(
    tmp_path_factory: pytest.TempPathFactory, places: int, amounts: list[int]
) -> None:
    most = MONEY_LIMIT // 10**places
    file = tmp_path_factory.mktemp("money") / "p.yaml"
    text = PROFILE.format(low=-most, high=f"{most}, decimals: {places}, text: true")
    file.write_text(text)
    profile = load_profile(file)
    written = [str(Decimal(minor).scaleb(-places)) for minor in amounts]
    numbers = [format(Decimal(text), "f") for text in written]
    for values in (numbers, [f'"{number}"' for number in numbers]):
        raws = [
            f'{{"id":"t","user":"u","time":1700000000,"amount":{value}}}'.encode()
            for value in values
        ]
        intake = take(profile, raws, np.zeros(len(raws), np.int64))
        assert not intake.rejects
        assert intake.columns.amounts.tolist() == amounts
        kept = [json.loads(line)["amount"] for line in profile.canonical_all(intake.txs)]
        assert [Decimal(str(value)).scaleb(places) for value in kept] == amounts


@settings(deadline=None)
@given(a=words, b=words)
def test_a_product_is_exact(a: int, b: int) -> None:
    high, low = exact.product(a, b)
    assert high * 2**64 + low % 2**64 == a * b


@settings(deadline=None)
@given(a=st.integers(1 - 2**126, 2**126 - 1), b=st.integers(1 - 2**126, 2**126 - 1), c=words)
def test_sums_and_multiples_are_exact_modulo_2_to_the_128(a: int, b: int, c: int) -> None:
    high, low = exact.add(*halves(a), *halves(b))
    assert high * 2**64 + low % 2**64 == a + b
    high, low = exact.times(*halves(a), c)
    assert (high * 2**64 + low % 2**64 - a * c) % 2**128 == 0


@settings(deadline=None)
@given(a=st.integers(-(2**126), 2**126) | words)
def test_a_float_is_near_the_number(a: int) -> None:
    assert exact.to_float(*halves(a)) == pytest.approx(float(a), rel=2.0**-52, abs=0)
    if abs(a) < 2**63:
        assert exact.to_float(*halves(a)) == float(a)


def halves(a: int) -> tuple[int, int]:
    low = a % 2**64
    return a >> 64, low - 2**64 if low >= 2**63 else low
