"""The figures of a backtest's report, against scikit-learn and against counting by hand."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics as sk
from sklearn.calibration import calibration_curve

from model.evaluation.decide_again import Cases, DecidedCases
from model.evaluation.judged import judged
from model.evaluation.metrics import calibration, curves, thinned
from model.evaluation.report import BacktestReport, compare, figures
from model.history.fold import Log
from tidegate.profile import load_profile
from tidegate.profile.spec import DAY

CARD = load_profile("card")
N = 4000
CHANCE = np.random.default_rng(7)
LABELS = CHANCE.choice([-1, 0, 1], N, p=[0.2, 0.7, 0.1]).astype(np.int8)
SCORES = np.round(np.clip(0.3 * (LABELS == 1) + CHANCE.beta(1, 4, N), 0, 1), 3)
OTHER = np.round(np.clip(SCORES + CHANCE.normal(0, 0.1, N), 0, 1), 3)


def decided(name: str, scores: np.ndarray, **changes: object) -> DecidedCases:
    decisions = (scores >= 0.4).astype(np.uint8) + (scores >= 0.7)
    return DecidedCases(
        name,
        {"review": 0.4, "block": 0.7},
        scores,
        decisions,  # type: ignore[arg-type] # by name
        lambda rows: [[f"{name} says so of row {row}"] for row in rows],
        **changes,
    )


def cases(labels: np.ndarray = LABELS, start: int = 0) -> Cases:
    log = Log(np.zeros((N, 1)), labels, np.arange(N) * (DAY // 200))
    return Cases(
        [f"t{row}" for row in range(N)],
        [f"u{row % 37}" for row in range(N)],
        np.arange(N) * 10,
        log,
        slice(start, N),
        "a test",
        N,
    )


KNOWN, FRAUD = LABELS >= 0, LABELS == 1
Y, S = FRAUD[KNOWN], SCORES[KNOWN]


def test_curves_are_those_of_scikit_learn() -> None:
    result = curves(S, Y)
    precision, recall, scores = sk.precision_recall_curve(Y, S)
    np.testing.assert_allclose(result.scores, scores[::-1])
    np.testing.assert_allclose(result.precision, precision[-2::-1])
    np.testing.assert_allclose(result.recall, recall[-2::-1])
    false, true, _ = sk.roc_curve(Y, S, drop_intermediate=False)
    np.testing.assert_allclose(
        np.c_[result.false_positive_rate, result.recall], np.c_[false, true][1:]
    )


def test_thin_curves_keep_their_ends_and_their_shape() -> None:
    whole, thin = curves(S, Y), thinned(curves(S, Y))
    assert (thin["recall"][0], thin["recall"][-1]) == (whole.recall[0], 1)
    assert len(thin["recall"]) < len(whole.recall)
    area = np.trapezoid([0, *thin["recall"]], [0, *thin["false_positive_rate"]])
    assert area == pytest.approx(sk.roc_auc_score(Y, S), abs=2e-3)


def test_figures_are_those_of_scikit_learn() -> None:
    result = figures(decided("one", SCORES), judged(CARD, cases()), 5)
    assert result.metrics["average_precision"] == pytest.approx(sk.average_precision_score(Y, S))
    assert result.metrics["auc"] == pytest.approx(sk.roc_auc_score(Y, S))
    assert result.metrics["brier"] == pytest.approx(sk.brier_score_loss(Y, S))
    for confusion, least in ((result.at_review, 0.4), (result.at_block, 0.7)):
        (tn, fp), (fn, tp) = sk.confusion_matrix(Y, least <= S)
        assert (
            confusion.flagged_frauds,
            confusion.flagged_legitimate,
            confusion.passed_frauds,
            confusion.passed_legitimate,
        ) == (tp, fp, fn, tn)
        assert confusion.precision == pytest.approx(sk.precision_score(Y, least <= S))
        assert confusion.recall == pytest.approx(sk.recall_score(Y, least <= S))


def test_calibration_is_that_of_scikit_learn() -> None:
    off_the_edges = np.clip(S + 1e-6, 0, 0.999)
    frauds, score = calibration_curve(Y, off_the_edges, n_bins=10)
    np.testing.assert_allclose(
        [(tenth.frauds, tenth.score) for tenth in calibration(off_the_edges, Y)],
        np.c_[frauds, score],
    )


def test_money_customers_and_reviews_are_counted() -> None:
    result = figures(decided("one", SCORES), judged(CARD, cases()), 5)
    amounts = np.arange(N) / 10
    assert result.money is not None
    assert result.money.saved == pytest.approx(amounts[FRAUD & (SCORES >= 0.4)].sum())
    assert result.money.lost == pytest.approx(amounts[FRAUD & (SCORES < 0.4)].sum())
    blocked = np.flatnonzero((LABELS == 0) & (SCORES >= 0.7))
    assert result.money.turned_away == pytest.approx(amounts[blocked].sum())
    assert (result.good_customers_blocked, result.good_transactions_blocked) == (
        len(set(blocked % 37)),
        len(blocked),
    )
    assert result.good_customers_blocked < result.good_transactions_blocked
    top = np.concatenate(
        [
            day * 200 + np.argsort(-SCORES[day * 200 : day * 200 + 200], kind="stable")[:5]
            for day in range(N // 200)
        ]
    )
    assert (result.reviews.reviewed, result.reviews.frauds) == (len(top), FRAUD[top].sum())
    assert result.reviews.recall == pytest.approx(FRAUD[top].sum() / FRAUD.sum())
    assert result.decisions == {
        "approve": (SCORES < 0.4).sum(),
        "review": ((SCORES >= 0.4) & (SCORES < 0.7)).sum(),
        "block": (SCORES >= 0.7).sum(),
    }


def test_money_is_added_up_beyond_a_word() -> None:
    rows = judged(CARD, cases())._replace(amounts=np.full(N, 2**60))
    money = figures(decided("one", SCORES), rows, 5).money
    assert money is not None
    assert money.saved == int((FRAUD & (SCORES >= 0.4)).sum()) * 2**60 / 100 > 2**63 / 100


def report(labels: np.ndarray = LABELS, start: int = 0) -> BacktestReport:
    both = decided("champion", SCORES[start:]), decided("challenger", OTHER[start:])
    return compare(CARD, cases(labels, start), *both, 5)


def test_disagreements_are_counted_and_shown() -> None:
    result = report(start=1000)
    before, after = decided("", SCORES[1000:]).decisions, decided("", OTHER[1000:]).decisions
    table = sk.confusion_matrix(before, after)
    assert [list(line.values()) for line in result.disagreements.counts.values()] == table.tolist()
    assert result.disagreements.rows == (before != after).sum()
    assert len(result.disagreements.examples) == 10
    gaps = [
        abs(example.champion.score - example.challenger.score)
        for example in result.disagreements.examples
    ]
    assert gaps == sorted(gaps, reverse=True)
    for example in result.disagreements.examples:
        row = int(example.transaction_id[1:])
        assert (row >= 1000, example.amount, example.account) == (True, row / 10, f"u{row % 37}")
        assert (example.champion.score, example.challenger.score) == (SCORES[row], OTHER[row])
        assert example.fraud is {-1: None, 0: False, 1: True}[LABELS[row]]
        flagged = example.challenger.decision != "approve"
        assert example.challenger.reasons == (
            [f"challenger says so of row {row}"] if flagged else []
        )


def test_without_verdicts_only_decisions_are_compared() -> None:
    result = report(np.full(N, -1, np.int8))
    assert (
        result.verdicts,
        result.challenger.metrics,
        result.challenger.curves,
        result.challenger.calibration,
    ) == (0, {}, {}, [])
    assert result.challenger.at_review.precision is result.challenger.reviews.recall is None
    assert result.disagreements.rows > 0
    assert "no verdict" in result.warnings[0]


def test_what_is_doubtful_is_said() -> None:
    failing = decided(
        "challenger", OTHER, seen=12, calibrated=False, failures={"trees": ValueError("broken")}
    )
    result = compare(CARD, cases(), decided("champion", SCORES), failing, 5)
    assert [
        words in warning
        for words, warning in zip(
            ("12 of these", "trees, which failed: broken"), result.warnings, strict=True
        )
    ] == [True, True]
    assert result.challenger.calibration == []
    assert "brier" not in result.challenger.metrics


def test_a_profile_without_money_or_accounts() -> None:
    vector = load_profile("vector")
    result = compare(
        vector,
        cases()._replace(accounts=[]),
        decided("champion", SCORES),
        decided("challenger", OTHER),
        5,
    )
    assert result.challenger.money is None
    assert result.challenger.good_customers_blocked == result.challenger.good_transactions_blocked
    assert result.disagreements.examples[0].amount is None
