"""The operator against an oracle that looks at every earlier transaction."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from model.plan import Plan
from model.state import KeyedState
from tests.operator.support import CARD, HOUR_US, Log, fold_batches
from tidegate.profile.check import pane_us
from tidegate.profile.spec import Count, Distinct, FraudRate, Sum, Verdicts

seeds = st.integers(0, 10_000)


def earlier(log: Log, key: int, i: int, span_us: int) -> NDArray[np.intp]:
    """Indices up to `i` of the same entity, no older than `span_us`."""
    same = log.hashes[:i + 1, key] == log.hashes[i, key]
    return np.flatnonzero(same & (log.times[:i + 1] > log.times[i] - span_us))


def total(log: Log, key: int, i: int, column: NDArray[np.float64], span_us: int) -> float:
    return float(column[earlier(log, key, i, span_us)].sum())


def between(exact: Callable[[int], float], window: int, got: float) -> bool:
    bounds = sorted((exact(window), exact(window + pane_us(window))))
    return bounds[0] - 1e-6 <= got <= bounds[1] + 1e-6


@settings(max_examples=10, deadline=None)
@given(seed=seeds)
def test_counts_and_sums_lie_between_the_window_and_a_pane_more(seed: int) -> None:
    for step in range(CARD.steps):
        log, plan = Log(CARD, seed, 300, span_us=300 * HOUR_US), Plan(CARD, step)
        values = fold_batches(KeyedState(plan), log, [])
        for name, spec in CARD.computed.items():
            if not isinstance(spec, Count | Sum) or CARD.entities[step] != spec.by:
                continue
            column = values[:, CARD.values.index(spec.of)] if isinstance(spec, Sum) else np.ones(300)
            for i in range(300):
                exact = partial(total, log, plan.key, i, column)
                assert between(exact, spec.window, values[i, CARD.values.index(name)]), (name, i)


@settings(max_examples=10, deadline=None)
@given(seed=seeds)
def test_distinct_since_and_level_are_exact(seed: int) -> None:
    log, plan = Log(CARD, seed, 300), Plan(CARD, 0)
    values = fold_batches(KeyedState(plan), log, [])
    names = CARD.values.index
    amounts = values[:, names("amount")]
    distinct = CARD.computed["user_merchants_1d"]
    assert isinstance(distinct, Distinct)
    for i in range(300):
        near = earlier(log, 0, i, distinct.window)
        assert values[i, names("user_merchants_1d")] == len(set(log.hashes[near, 1].tolist()))
        before = earlier(log, 0, i, 10**18)[:-1]
        since = values[i, names("user_since_last")]
        assert math.isnan(since) if not len(before) else since == (log.times[i] - log.times[before[-1]]) / 1e6
        ratio = values[i, names("user_amount_ratio")]
        if len(before) < 3:
            assert math.isnan(ratio)
        else:
            last = amounts[before[-16:]]
            middle = np.median(last)
            assert ratio == amounts[i] / middle
            spread = max(1.4826 * float(np.median(np.abs(last - middle))), 0.05 * middle)
            np.testing.assert_allclose(values[i, names("user_amount_zscore")], (amounts[i] - middle) / spread)


@settings(max_examples=10, deadline=None)
@given(seed=seeds)
def test_mean_deviation_and_decay_match_numpy(seed: int) -> None:
    log, plan = Log(CARD, seed, 200, span_us=100 * HOUR_US), Plan(CARD, 0)
    values = fold_batches(KeyedState(plan), log, [])
    names = CARD.values.index
    amounts = values[:, names("amount")]
    for i in range(200):
        seen = earlier(log, 0, i, 10**18)  # the log is shorter than the 7 days of the window
        np.testing.assert_allclose(values[i, names("user_mean_7d")], amounts[seen].mean())
        np.testing.assert_allclose(values[i, names("user_deviation_7d")], amounts[seen].std(), atol=1e-6)
        weights = 0.5 ** ((log.times[i] - log.times[seen]) / (6 * HOUR_US))
        np.testing.assert_allclose(values[i, names("user_decayed_6h")], (amounts[seen] * weights).sum())


@settings(max_examples=10, deadline=None)
@given(seed=seeds)
def test_verdicts_count_once_corrected_and_only_when_mature(seed: int) -> None:
    log, plan = Log(CARD, seed, 400), Plan(CARD, 1)
    values = fold_batches(KeyedState(plan), log, [])
    rate, count = CARD.computed["merchant_fraud_rate_30d"], CARD.computed["merchant_verdicts_30d"]
    assert isinstance(rate, FraudRate)
    assert isinstance(count, Verdicts)
    for i in range(400):
        known: dict[int, int] = {}
        for k in range(i // 4):  # one label arrives after every fourth transaction
            at = int(log.labels[k])
            matures = log.times[at] + CARD.label_delay_us // 100
            if log.hashes[at, 1] == log.hashes[i, 1] and matures <= log.times[i]:
                known[at] = int(log.frauds[k])
        assert values[i, CARD.values.index("merchant_verdicts_30d")] == len(known)
        expected = (sum(known.values()) + rate.prior * rate.weight) / (len(known) + rate.weight)
        np.testing.assert_allclose(values[i, CARD.values.index("merchant_fraud_rate_30d")], expected)


def test_late_events_fall_into_their_own_pane() -> None:
    log, plan = Log(CARD, 1, 4, keys=1), Plan(CARD, 0)
    base = log.times[0] // HOUR_US * HOUR_US
    log.times[:] = [base, base + HOUR_US // 2, base + 60_000_000, base + 10 * HOUR_US]
    values = fold_batches(KeyedState(plan), log, [])
    assert values[:, CARD.values.index("user_count_1h")].tolist() == [1, 2, 2, 1]
    assert values[:, CARD.values.index("user_count_1d")].tolist() == [1, 2, 3, 4]
    assert values[2, CARD.values.index("user_since_last")] == 0
