"""How long a stream must run until a column is full."""

from __future__ import annotations

import pytest

from tidegate.profile import load_profile
from tidegate.profile.look_back import look_back

HOUR = 3_600_000_000
DAY = 24 * HOUR


@pytest.mark.parametrize(
    ("column", "us"),
    [
        ("amount", 0),
        ("hour_sin", 0),
        ("amount_log", 0),
        ("user_count_1h", HOUR),
        ("user_merchants_1d", DAY),
        ("user_decayed_6h", 30 * HOUR),
        ("burst", DAY),
        ("user_amount_zscore", 30 * DAY),
        ("merchant_zscore_mean_1d", 31 * DAY),
        ("merchant_fraud_rate_30d", 37 * DAY),
        ("score", 37 * DAY),
    ],
)
def test_a_column_waits_for_its_window_and_for_what_it_is_made_of(column: str, us: int) -> None:
    assert look_back(load_profile("card"))[column] == us


def test_without_windows_all_is_full_at_once() -> None:
    assert set(look_back(load_profile("creditcard")).values()) == {0}
