"""The operator against an oracle that looks at every earlier transaction."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from model.features import levels
from model.features.plan import Plan
from model.features.state import KeyedState
from tests.model.features.support import CARD, HANDBOOK, HOUR_US, SEQUENCES, Log, fold_batches
from tidegate.profile.spec import (
    Count,
    Distinct,
    FraudRate,
    FraudRun,
    Keyed,
    Mean,
    Recent,
    Sum,
    Verdicts,
    pane_us,
)

seeds = st.integers(0, 10_000)
ROUNDING = 0.01
"""Windows keep money in minor units, and other values with four decimals."""


def earlier(log: Log, key: int, i: int, span_us: int) -> NDArray[np.intp]:
    """Indices up to `i` of the same entity, no older than `span_us`."""
    same = log.hashes[: i + 1, key] == log.hashes[i, key]
    return np.flatnonzero(same & (log.times[: i + 1] > log.times[i] - span_us))


def total(log: Log, key: int, i: int, column: NDArray[np.float64], span_us: int) -> float:
    return float(np.nansum(column[earlier(log, key, i, span_us)]))


def counted(values: NDArray[np.float64], plan: Plan, of: str) -> NDArray[np.float64]:
    """A column as windows count it: at most 3 billion minor units, or ten-thousandths."""
    field = plan.profile.fields.get(of)
    limit = 3e9 / 10 ** (4 if field is None else field.places())
    return np.asarray(values[:, plan.profile.values.index(of)].clip(-limit, limit))


def between(exact: Callable[[int], float], window: int, got: float) -> bool:
    bounds = sorted((exact(window), exact(window + pane_us(window))))
    return bounds[0] - ROUNDING <= got <= bounds[1] + ROUNDING


PLANS = [
    pytest.param(Plan(profile, step), id=f"{profile.name}-{step + 1}")
    for profile in (CARD, HANDBOOK)
    for step in range(profile.steps)
]


def windows_of(plan: Plan) -> Iterator[tuple[str, Keyed]]:
    """The windows that a step keeps."""
    for name, spec in plan.profile.computed.items():
        if isinstance(spec, Keyed) and spec.by == plan.entity:
            yield name, spec


@pytest.mark.parametrize("plan", PLANS)
@settings(max_examples=4, deadline=None)
@given(seed=seeds)
def test_counts_and_sums_lie_between_the_window_and_a_pane_more(plan: Plan, seed: int) -> None:
    log, names = Log(plan.profile, seed, 200, span_us=600 * HOUR_US), plan.profile.values.index
    values = fold_batches(KeyedState(plan), log, [])
    for name, spec in windows_of(plan):
        if isinstance(spec, Count | Sum):
            column = counted(values, plan, spec.of) if isinstance(spec, Sum) else np.ones(200)
            for i in range(200):
                assert between(
                    partial(total, log, plan.key, i, column), spec.window, values[i, names(name)]
                ), (name, i)


@pytest.mark.parametrize("plan", PLANS)
@settings(max_examples=4, deadline=None)
@given(seed=seeds)
def test_a_window_holds_whole_panes(plan: Plan, seed: int) -> None:
    """Windows share panes, and panes are reused: each must still hold what it says."""
    log, names = Log(plan.profile, seed, 200, span_us=600 * HOUR_US), plan.profile.values.index
    values = fold_batches(KeyedState(plan), log, [])
    for name, spec in windows_of(plan):
        if not isinstance(spec, Sum | Mean):
            continue
        column, pane = counted(values, plan, spec.of), pane_us(spec.window)
        for i in range(200):
            first = log.times[i] // pane - spec.window // pane
            seen = earlier(log, plan.key, i, 10**18)
            seen = seen[(log.times[seen] // pane >= first) & ~np.isnan(column[seen])]
            expected = (
                column[seen].sum()
                if isinstance(spec, Sum)
                else column[seen].mean()
                if len(seen)
                else np.nan
            )
            np.testing.assert_allclose(
                values[i, names(name)], expected, atol=ROUNDING, err_msg=f"{name} {i}"
            )


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
        assert (
            math.isnan(since)
            if not len(before)
            else since == (log.times[i] - log.times[before[-1]]) / 1e6
        )
        ratio = values[i, names("user_amount_ratio")]
        if len(before) < 3:
            assert math.isnan(ratio)
        else:
            last = amounts[before[-16:]]
            middle = np.median(last)
            assert ratio == amounts[i] / middle
            spread = max(1.4826 * float(np.median(np.abs(last - middle))), 0.05 * middle)
            np.testing.assert_allclose(
                values[i, names("user_amount_zscore")], (amounts[i] - middle) / spread
            )


@settings(max_examples=100, deadline=None)
@given(
    values=st.lists(
        st.floats(-1e6, 1e6) | st.sampled_from([0.0, -0.0, 1.0, math.inf, -math.inf, math.nan]),
        max_size=40,
    ),
    keep=st.integers(3, 9),
)
def test_a_level_is_that_of_the_last_values_whatever_came_before(
    values: list[float], keep: int
) -> None:
    row, out = np.zeros(2 + 2 * keep, np.int64), np.zeros(3)
    known: list[float] = []
    for value in values:
        levels.level(row, row.view(np.float64), 1, keep, value, out)
        last = known[-keep:]
        if len(last) >= 3 and np.isfinite(last).all():
            middle = np.median(last)
            np.testing.assert_allclose(
                out[:2], [middle, 1.4826 * np.median(np.abs(last - middle))], atol=1e-9
            )
        elif len(last) < 3:
            assert np.isnan(out[:2]).all()
        known += [] if math.isnan(value) else [value]


@pytest.mark.parametrize(
    "plan", [Plan(SEQUENCES, step) for step in range(2)], ids=["account", "terminal"]
)
@settings(max_examples=10, deadline=None)
@given(seed=seeds)
def test_recent_values_are_those_of_the_last_transactions(plan: Plan, seed: int) -> None:
    log = Log(SEQUENCES, seed, 200)
    values = fold_batches(KeyedState(plan), log, [seed % 200])
    firsts = {
        name: spec
        for name, spec in windows_of(plan)
        if isinstance(spec, Recent) and name.endswith("_0")
    }
    assert len(firsts) >= 2
    for name, spec in firsts.items():
        column, at = values[:, SEQUENCES.values.index(spec.of)], SEQUENCES.values.index(name)
        for i in range(200):
            newest = column[earlier(log, plan.key, i, 10**18)][::-1][:8]
            np.testing.assert_array_equal(
                values[i, at : at + 8], [*newest, *[np.nan] * (8 - len(newest))]
            )


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
        np.testing.assert_allclose(
            values[i, names("user_deviation_7d")], amounts[seen].std(), atol=1e-6
        )
        weights = 0.5 ** ((log.times[i] - log.times[seen]) / (6 * HOUR_US))
        np.testing.assert_allclose(
            values[i, names("user_decayed_6h")], (amounts[seen] * weights).sum()
        )


@settings(max_examples=10, deadline=None)
@given(seed=seeds)
def test_verdicts_count_once_corrected_and_only_when_mature(seed: int) -> None:
    log, plan = Log(CARD, seed, 400), Plan(CARD, 1)
    values = fold_batches(KeyedState(plan), log, [])
    rate, count = CARD.computed["merchant_fraud_rate_30d"], CARD.computed["merchant_verdicts_30d"]
    assert isinstance(rate, FraudRate)
    assert isinstance(count, Verdicts)
    for i in range(400):
        known = log.known(1, i)
        assert values[i, CARD.values.index("merchant_verdicts_30d")] == len(known)
        expected = (sum(known.values()) + rate.prior * rate.weight) / (len(known) + rate.weight)
        np.testing.assert_allclose(
            values[i, CARD.values.index("merchant_fraud_rate_30d")], expected
        )


@settings(max_examples=10, deadline=None)
@given(seed=seeds)
def test_verdicts_lose_weight_by_half_lives(seed: int) -> None:
    log, plan = Log(HANDBOOK, seed, 400, span_us=400 * HOUR_US), Plan(HANDBOOK, 1)
    values = fold_batches(KeyedState(plan), log, [])
    spec = HANDBOOK.computed["terminal_risk_decayed"]
    assert isinstance(spec, FraudRate)
    assert spec.half_life
    pane = pane_us(spec.window)
    for i in range(400):
        verdicts, frauds = spec.weight, spec.prior * spec.weight
        for at, fraud in log.known(1, i).items():
            weight = 0.5 ** (
                (log.times[i] // pane - log.matures[at] // pane) * pane / spec.half_life
            )
            verdicts, frauds = verdicts + weight, frauds + weight * fraud
        np.testing.assert_allclose(
            values[i, HANDBOOK.values.index("terminal_risk_decayed")], frauds / verdicts
        )


def run_of_frauds(log: Log, plan: Plan, i: int, spec: FraudRun) -> float:
    """What `fraud_run` says, from a list of all verdicts."""
    known, time = log.known(plan.key, i), log.times[i]
    run: list[int] = []
    for at in sorted(known, key=lambda at: int(log.matures[at]), reverse=True)[: spec.last]:
        if not known[at]:
            break
        run.append(at)
    legitimate = [log.matures[at] for at, fraud in known.items() if not fraud]
    if spec.of is not None:
        carried = log.values[run, HANDBOOK.values.index(spec.of)]
        return float("nan") if np.isnan(carried).all() else float(np.nanmin(carried))
    return {
        "count": len(run),
        "age": (time - log.matures[run[-1]]) / 1e6 if run else np.nan,
        "since_legitimate": (time - max(legitimate)) / 1e6 if legitimate else np.nan,
    }[spec.give]


@pytest.mark.parametrize(("keys", "twice"), [(5, True), (1, False)])
@settings(max_examples=6, deadline=None)
@given(seed=seeds, share=st.sampled_from([0.3, 0.6, 0.97]))
def test_the_run_of_frauds_since_the_last_legitimate(
    keys: int, twice: bool, seed: int, share: float
) -> None:
    """With corrections, and with more verdicts than are remembered."""
    log, plan = Log(HANDBOOK, seed, 400, keys=keys, twice=twice), Plan(HANDBOOK, 1)
    log.frauds = (np.random.default_rng(seed).random(len(log.frauds)) < share).astype(np.int64)
    values = fold_batches(KeyedState(plan), log, [])
    specs = {name: spec for name, spec in windows_of(plan) if isinstance(spec, FraudRun)}
    assert {spec.give for spec in specs.values()} == {"count", "age", "since_legitimate", "least"}
    assert len({spec.of for spec in specs.values()}) > 2
    for i in range(400):
        for name, spec in specs.items():
            expected = run_of_frauds(log, plan, i, spec)
            result = values[i, HANDBOOK.values.index(name)]
            assert np.array_equal(result, expected, equal_nan=True), (i, name)


def test_late_events_fall_into_their_own_pane() -> None:
    log, plan = Log(CARD, 1, 4, keys=1), Plan(CARD, 0)
    base = log.times[0] // HOUR_US * HOUR_US
    log.times[:] = [base, base + HOUR_US // 2, base + 60_000_000, base + 10 * HOUR_US]
    values = fold_batches(KeyedState(plan), log, [])
    assert values[:, CARD.values.index("user_count_1h")].tolist() == [1, 2, 2, 1]
    assert values[:, CARD.values.index("user_count_1d")].tolist() == [1, 2, 3, 4]
    assert values[2, CARD.values.index("user_since_last")] == 0
