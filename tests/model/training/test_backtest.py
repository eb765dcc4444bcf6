from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from model.detectors.catalog import known
from model.evaluation.metrics import auc, average_precision, report
from model.history.history import History
from model.training.backtest import (
    BacktestPlan,
    BacktestResult,
    backtest,
    split_by_share,
    split_by_week,
)
from producers.simulator.history import read_frame, simulate_history
from tidegate.errors import ConfigError
from tidegate.profile import load_profile

pytestmark = pytest.mark.training

PROFILE = load_profile("handbook")
FOLD = "2018-05-02"  # learns from 2018-04-18 on, is tested from 2018-05-16 to 22
DAY_US = 86_400_000_000
TEST = int(pd.Timestamp("2018-05-16").value) // 1000


@pytest.fixture(scope="module")
def history() -> History:
    return read_frame(PROFILE, simulate_history(PROFILE, 40_000, seed=3)).history


def run(history: History, **changes: object) -> BacktestResult:
    plan = BacktestPlan(PROFILE.models.names, [FOLD], weeks=3)._replace(**changes)
    return backtest(PROFILE, history, plan, lambda _share, _what: None)[0]


def with_labels(history: History, labels: np.ndarray) -> History:
    return history._replace(labels=labels.astype(np.int8))


@pytest.fixture(scope="module")
def result(history: History) -> BacktestResult:
    return run(history)


def test_it_finds_fraud(result: BacktestResult) -> None:
    assert result.report["auc"] > 0.75
    assert result.report["average_precision"] > 10 * result.report["base_rate"]
    assert ((result.scores > 0) & (result.scores < 1)).all()


def test_a_fold_is_its_weeks(history: History, result: BacktestResult) -> None:
    days = pd.Series(pd.to_datetime(history.times, unit="us")).dt.strftime("%m-%d")
    assert sorted(set(days[result.split.fit]))[::20] == ["04-18", "05-08"]
    assert sorted(set(days[result.split.test]))[::6] == ["05-16", "05-22"]


def test_what_comes_later_changes_no_score(history: History, result: BacktestResult) -> None:
    """Rows after the test week are gone, and what had not matured when its first day ended is
    turned round.
    """
    times, labels = history.times, history.labels
    end = int(np.searchsorted(times, TEST + 7 * DAY_US))
    twisted = with_labels(history, np.where(times > TEST - 6 * DAY_US, 1 - labels, labels))
    again = run(twisted.only(slice(0, end)))
    early = int(np.searchsorted(times, TEST + DAY_US)) - result.split.test.start
    np.testing.assert_array_equal(again.scores[:early], result.scores[:early])
    assert not np.array_equal(again.scores, result.scores)


def test_labels_that_have_matured_do_change_scores(
    history: History, result: BacktestResult
) -> None:
    labels = history.labels
    week = (history.times > TEST - 9 * DAY_US) & (history.times < TEST - 8 * DAY_US)
    changed = with_labels(history, np.where(week, 1 - labels, labels))
    assert not np.array_equal(run(changed).scores, result.scores)


def test_the_online_model_goes_on_learning(history: History) -> None:
    """Labels of the week before the test mature in the test week: without terminal windows only it
    sees them.
    """
    hashes = history.hashes.copy()
    hashes[:, PROFILE.hashed.index("TERMINAL_ID")] = np.arange(1, len(hashes) + 1)
    alone = history._replace(hashes=hashes)  # each verdict window sees one transaction
    learnt = (history.times >= TEST - 7 * DAY_US) & (history.times < TEST)
    without = with_labels(alone, np.where(learnt, -1, history.labels))
    names = {
        name: [run(one, names=[name]).scores for one in (alone, without)]
        for name in ("lightgbm", "online")
    }
    np.testing.assert_array_equal(*names["lightgbm"])
    assert not np.array_equal(*names["online"])


# of those that TensorFlow trains the one that learns from labels is enough
@pytest.mark.parametrize(
    "name",
    sorted(name for name, kind in known().items() if kind.supervised or kind.extra != "neural"),
)
def test_each_detector_alone(history: History, name: str) -> None:
    assert run(history, names=[name]).report["auc"] > 0.6


def test_without_verdicts_no_feature_knows_one(history: History) -> None:
    """The stack still learns from verdicts what a score is worth: it keeps the order."""
    labels = history.labels
    fewer = with_labels(history, np.where(np.arange(len(labels)) % 3 == 0, 0, labels))
    for blind in (True, False):
        scores = [
            run(one, names=["isolation_forest"], blind=blind).scores for one in (history, fewer)
        ]
        first, second = (np.argsort(column, kind="stable") for column in scores)
        assert np.array_equal(first, second) == blind


def test_equal_seeds_give_equal_scores(history: History, result: BacktestResult) -> None:
    np.testing.assert_array_equal(run(history).scores, result.scores)


def test_a_verdict_of_a_split_counts_a_label_delay_later(
    history: History,
) -> None:
    times, labels = history.times, history.labels
    split = {"days": [], "split": 0.7}
    result = run(history, **split)
    assert result.split.test == slice(28_000, 40_000)
    assert times[result.split.fit][-1] <= times[28_000] - 7 * DAY_US < times[result.split.fit.stop]
    late = with_labels(history, np.where(times > times[-1] - 7 * DAY_US, 1 - labels, labels))
    np.testing.assert_array_equal(run(late, **split).scores, result.scores)
    after = np.arange(len(labels)) >= result.split.fit.stop
    turned = with_labels(history, np.where(after, 1 - labels, labels))
    changed = run(turned, **split).scores != result.scores
    first = int(np.argmax(changed))
    assert changed.any()
    assert times[28_000 + first] >= times[result.split.fit.stop] + 7 * DAY_US


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"days": ["2018-06-20"]}, "the data holds 2018-04-01 to 2018-05"),
        ({"days": ["2017-06-20"]}, "tested on 2017-07-04 to 2017-07-10"),
        ({"days": ["soon"]}, "expected a date"),
        ({"names": ["oracle"]}, "there is no 'oracle', only lightgbm"),
        ({"days": [], "split": 1.5}, "between 0 and 1"),
        ({"days": [], "split": 0.0}, "between 0 and 1"),
    ],
)
def test_what_is_not_there_is_named(
    history: History, changes: dict[str, object], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        run(history, **changes)


def test_too_few_frauds_to_learn_from_are_refused(history: History) -> None:
    with pytest.raises(
        ConfigError, match=r"fold 2018-05-02: the first 80% of the rows .* hold 0 frauds"
    ):
        run(with_labels(history, np.minimum(history.labels, 0)))


def test_a_longer_label_delay_moves_the_test_by_whole_days() -> None:
    days = np.arange(60) * DAY_US + int(pd.Timestamp("2018-04-01").value) // 1000
    assert split_by_week(PROFILE, days, "2018-04-08", 2).test == slice(21, 28)
    assert split_by_week(load_profile("card"), days, "2018-04-08", 1).fit == slice(7, 14)
    assert split_by_share(PROFILE, days, 0.5) == ("split-0.5", slice(0, 24), slice(30, 60))
    assert split_by_share(load_profile("vector"), np.zeros(10, np.int64), 0.5) == (
        "split-0.5",
        slice(0, 5),
        slice(5, 10),
    )


def test_the_report_counts_what_it_says() -> None:
    y = np.zeros(200, np.bool_)
    y[[0, 1, 50]] = True
    scores = np.linspace(0.99, 0.01, 200)
    result = report(scores, y)
    assert result["precision_top_1"] == 1.0
    assert result["recall_top_5"] == pytest.approx(2 / 3)
    assert result["average_precision"] == average_precision(scores, y)
    assert result["auc"] == auc(scores, y)
    assert result["brier"] == pytest.approx(np.mean((scores - y) ** 2))
    perfect = report(y.astype(np.float64), y)
    assert (perfect["calibration_error"], perfect["brier"]) == (0, 0)
    assert report(np.full(200, 0.5), y)["calibration_error"] == pytest.approx(0.485)
    assert "auc" not in report(scores, np.zeros(200, np.bool_))
