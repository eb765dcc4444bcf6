"""Simulated histories: valid, repeatable, about 1% frauds, and not to be told apart by one
threshold.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from sklearn.metrics import average_precision_score

from producers.simulator.history import encode_rows, simulate_history
from producers.simulator.traffic import Traffic
from tidegate.errors import ConfigError
from tidegate.profile import load_profile

PROFILES = ("card", "wallet", "creditcard", "vector", "handbook", "card_unsupervised")


@pytest.mark.parametrize("name", PROFILES)
def test_history_passes_the_profile_and_is_repeatable(name: str) -> None:
    profile = load_profile(name)
    history = simulate_history(profile, 6000, 7)
    assert len(history) == 6000
    assert set(history.columns) <= {*profile.fields, "label"}
    assert 0.002 < history["label"].mean() < 0.03
    ids, lines = encode_rows(profile, history)
    assert len(set(ids)) == 6000
    times = [profile.event_us(profile.decode(line)) for line in lines]
    assert times == sorted(times)
    pd.testing.assert_frame_equal(history, simulate_history(profile, 6000, 7))
    assert not history.equals(simulate_history(profile, 6000, 8))


@pytest.mark.parametrize("name", PROFILES)
def test_no_single_column_finds_the_frauds(name: str) -> None:
    history = simulate_history(load_profile(name), 40_000, 3)
    numbers = history.drop(columns="label").select_dtypes(["number", "bool"]).astype(float)
    for column in numbers:
        for sign in (1, -1):
            assert average_precision_score(history["label"], sign * numbers[column]) < 0.6, column


def test_card_scenarios_are_there() -> None:
    history = simulate_history(load_profile("card"), 60_000, 1)
    frauds = history[history["label"] == 1]
    tiny = frauds[frauds["amount"] < 5].sort_values("timestamp")
    gaps = tiny.groupby("user_id")["timestamp"].diff().dt.total_seconds()
    assert (gaps < 120).sum() > 50, "card testing comes in bursts"
    assert frauds.groupby("merchant")["user_id"].nunique().max() >= 5, (
        "a compromised merchant hits many accounts"
    )
    assert (frauds["amount"] > 200).sum() > 20, "takeovers spend more"
    assert (history[history["label"] == 0]["amount"] < 5).sum() > len(tiny), (
        "small amounts are usual, too"
    )


def test_wallet_balances_add_up_except_for_anomalies() -> None:
    history = simulate_history(load_profile("wallet"), 20_000, 1)
    sign = history["transaction_type"].map({"recarga": 1, "retiro": -1})
    error = (
        history["balance_after"] - history["balance_before"] - sign * history["amount"]
    ).abs() > 0.005
    normal = history["label"] == 0
    assert not error[normal].any()
    assert (history.loc[normal, "balance_after"] >= 0).all()
    assert error[~normal].any()
    assert (history["balance_after"] < 0).any()


@pytest.mark.parametrize("name", PROFILES)
def test_a_copy_under_another_name_is_simulated_alike(name: str, tmp_path: Path) -> None:
    shipped, copy = load_profile(name), tmp_path / "mine.yaml"
    copy.write_text(shipped.path.read_text())
    mine = load_profile(copy)
    pd.testing.assert_frame_equal(simulate_history(mine, 500), simulate_history(shipped, 500))
    begin = 1_790_000_000_000_000
    assert Traffic(mine, 50.0, 1, begin).until(begin + 5_000_000)


def test_no_simulator_makes_other_fields() -> None:
    with pytest.raises(ConfigError, match=r"sffsd\.yaml: there is no simulator for these fields"):
        simulate_history(load_profile("sffsd"), 10)


@pytest.mark.parametrize("name", PROFILES)
def test_live_traffic_keeps_rate_order_and_fraud_share(name: str) -> None:
    profile, begin = load_profile(name), 1_790_000_000_000_000
    traffic = Traffic(profile, 50.0, 1, begin)
    events = [
        event for second in range(0, 600, 10) for event in traffic.until(begin + second * 1_000_000)
    ]
    assert 27_000 < len(events) < 33_000
    assert [event[0] for event in events] == sorted(event[0] for event in events)
    assert len({event[1] for event in events}) == len(events)
    assert 0.003 < sum(event[3] for event in events) / len(events) < 0.03
    profile.decode(events[-1][2], received_us=begin + 600_000_000)
