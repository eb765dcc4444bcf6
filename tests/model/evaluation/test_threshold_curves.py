"""What each threshold would have done, by verdicts."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import precision_recall_curve

from model.evaluation.threshold_curves import GRID, Judged, Strata, at_least, curves

CHANCE = np.random.default_rng(3)
N = 4_000
FRAUD = CHANCE.random(N) < 0.2
SCORES = np.round(np.clip(0.5 * FRAUD + CHANCE.random(N) * 0.5, 0, 1), 3)
AMOUNTS = np.round(CHANCE.random(N) * 100, 2)
NONE, ALL = np.zeros(N, bool), np.ones(N, bool)
DAYS = np.zeros(N, np.int64)


def test_with_a_verdict_on_every_row_they_are_scikit_learns() -> None:
    flagged = SCORES >= 0.5
    found = curves(
        Judged(SCORES, AMOUNTS, FRAUD, flagged, ~flagged, DAYS),
        Strata(int(flagged.sum()), {0: int((~flagged).sum())}),
    )
    precision, recall, thresholds = precision_recall_curve(FRAUD, SCORES)
    for place, threshold in enumerate(GRID[SCORES.max() >= GRID].tolist()):
        at = int(np.searchsorted(thresholds, threshold))
        assert found.precision.value[place] == pytest.approx(precision[at])
        assert found.recall.value[place] == pytest.approx(recall[at])
    assert found.sampled
    assert (found.verdicts, found.frauds) == (N, int(FRAUD.sum()))


def test_the_sample_stands_for_all_approved_rows() -> None:
    flagged = SCORES >= 0.6
    sampled = ~flagged & (CHANCE.random(N) < 0.25)
    known = flagged | sampled
    judged = Judged(SCORES, AMOUNTS, FRAUD, flagged, sampled, DAYS).at(known)
    found = curves(judged, Strata(int(flagged.sum()), {0: int((~flagged).sum())}))
    whole = FRAUD.sum()
    at = int(np.searchsorted(GRID, 0.6))
    true = (FRAUD & flagged).sum() / whole
    assert found.recall.low[at] <= true <= found.recall.high[at]
    assert found.recall.value[at] == pytest.approx(true, abs=0.05)
    assert found.fraud_amount[0] == pytest.approx(AMOUNTS[FRAUD].sum(), rel=0.15)
    assert found.legitimate[0] == pytest.approx((~FRAUD).sum(), rel=0.02)


def test_each_row_of_the_sample_stands_for_its_own_day() -> None:
    """The sample has as many rows of a day of 9,900 approved ones as of a day of 100."""
    scores, flagged = np.full(20, 0.1), np.zeros(20, bool)
    days = np.repeat([3, 4], 10).astype(np.int64)
    fraud = np.arange(20) == 10  # a tenth of the day with few rows, none of the other
    judged = Judged(scores, np.ones(20), fraud, flagged, ~flagged, days)
    found = curves(judged, Strata(0, {3: 9_900, 4: 100}))
    assert found.precision.value[0] == pytest.approx(10 / 10_000)
    assert found.fraud_amount[0] == pytest.approx(10)
    assert found.unsampled == 0


def test_a_day_without_a_sample_is_like_the_others() -> None:
    scores, flagged = np.full(10, 0.1), np.zeros(10, bool)
    days = np.full(10, 3, np.int64)
    judged = Judged(scores, np.ones(10), np.arange(10) == 0, flagged, ~flagged, days)
    found = curves(judged, Strata(0, {3: 100, 4: 300}))
    assert found.unsampled == 1
    assert found.fraud_amount[0] == pytest.approx(40)


def test_complaints_do_not_count_as_a_sample() -> None:
    """A customer complains of a fraud; nobody of a good payment."""
    flagged = SCORES >= 0.6
    sampled = ~flagged & (CHANCE.random(N) < 0.25)
    complained = ~flagged & FRAUD
    judged = Judged(SCORES, AMOUNTS, FRAUD, flagged, sampled, DAYS)
    strata = Strata(int(flagged.sum()), {0: int((~flagged).sum())})
    with_complaints = curves(judged.at(flagged | sampled | complained), strata)
    without = curves(judged.at(flagged | sampled), strata)
    assert with_complaints.recall.value.tolist() == without.recall.value.tolist()


def test_without_a_sample_recall_is_among_what_is_known() -> None:
    flagged = SCORES >= 0.6
    known = flagged | (FRAUD & (CHANCE.random(N) < 0.5))
    judged = Judged(SCORES, AMOUNTS, FRAUD, flagged, NONE, DAYS).at(known)
    found = curves(judged, Strata(int(flagged.sum()), {0: int((~flagged).sum())}))
    assert not found.sampled
    assert found.recall.value[0] == 1
    at = int(np.searchsorted(GRID, 0.6))
    assert found.recall.value[at] == pytest.approx((FRAUD & flagged).sum() / (FRAUD & known).sum())


def test_without_verdicts_nothing_is_known() -> None:
    judged = Judged(SCORES, AMOUNTS, FRAUD, ALL, NONE, DAYS).at(NONE)
    found = curves(judged, Strata(10, {0: 1000}))
    assert np.isnan(found.precision.value).all()
    assert np.isnan(found.recall.high).all()
    assert not found.fraud_amount.any()


def test_rounded_scores_reach_their_own_threshold() -> None:
    scores = GRID.astype(np.float32).astype(np.float64)
    assert at_least(scores, np.ones(len(GRID))).tolist() == list(range(len(GRID), 0, -1))
