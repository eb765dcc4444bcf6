from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from model.evaluation.confidence import _Ranked, auc_interval, difference

CHANCE = np.random.default_rng(1)
Y = CHANCE.random(2000) < 0.05
POOR = CHANCE.normal(size=2000) + Y
GOOD = CHANCE.normal(size=2000) + 3 * Y
ALONE = np.arange(2000)


def test_a_weighted_average_precision_is_scikit_learns() -> None:
    weights = CHANCE.integers(0, 3, 2000)
    scores = np.round(POOR, 1)  # ties
    expected = average_precision_score(Y, scores, sample_weight=weights)
    assert _Ranked(scores, Y).average_precision(weights) == pytest.approx(expected, abs=1e-12)


def test_equal_scores_differ_by_nothing() -> None:
    assert difference(POOR, POOR, Y, ALONE) == (0, 0, 0)


def test_what_ranks_better_is_found_better_and_the_other_way_round() -> None:
    gap, back = difference(POOR, GOOD, Y, ALONE), difference(GOOD, POOR, Y, ALONE)
    assert 0 < gap.low < gap.point < gap.high
    assert back.high < 0
    assert gap.point == pytest.approx(-back.point)


def test_two_of_the_same_kind_are_not_told_apart() -> None:
    gap = difference(POOR, CHANCE.normal(size=2000) + Y, Y, ALONE)
    assert gap.low < 0 < gap.high


def test_few_accounts_make_the_interval_wide() -> None:
    """The same rows ten times over are no more evidence than once."""
    y, first, second = (np.tile(column[:400], 10) for column in (Y, POOR, GOOD))
    together = difference(first, second, y, np.tile(np.arange(400), 10))
    alone = difference(first, second, y, np.arange(4000))
    assert together.high - together.low > 2 * (alone.high - alone.low)


def test_a_weighted_auc_is_scikit_learns() -> None:
    weights = CHANCE.integers(0, 3, 2000)
    scores = np.round(POOR, 1)  # ties
    expected = roc_auc_score(Y, scores, sample_weight=weights)
    assert _Ranked(scores, Y).auc(weights) == pytest.approx(expected, abs=1e-12)


def test_the_interval_of_the_auc_tells_a_model_from_chance() -> None:
    low, high = auc_interval(POOR, Y, ALONE)
    assert 0.5 < low < roc_auc_score(Y, POOR) < high < 1
    low, high = auc_interval(np.random.default_rng(2).random(2000), Y, ALONE)
    assert low < 0.5 < high


def test_the_interval_of_the_auc_holds_the_truth_as_often_as_it_says() -> None:
    """Normal scores one standard deviation apart, whose AUC is known: Phi(1 / sqrt(2))."""
    truth, held = 0.7602, 0
    for seed in range(100):
        chance = np.random.default_rng(seed)
        y = np.arange(400) < 40
        low, high = auc_interval(chance.normal(size=400) + y, y, np.arange(400))
        held += low <= truth <= high
    assert 88 <= held <= 100
