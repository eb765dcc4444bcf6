from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from model.ensemble.thresholds import Fixed, decide
from model.evaluation.shadow import ComparedRows, compare
from tidegate.profile.spec import DAY

TIMES = np.array([0, 1, 2, DAY, DAY + 1, DAY + 2], np.int64)
CHAMPION = np.array([0.95, 0.6, 0.1, 0.2, 0.3, 0.1])
SHADOW = np.array([0.95, 0.1, 0.7, 0.2, 0.3, 0.9])
LABELS = np.array([1, 0, 1, -1, 0, 1], np.int8)


def rows(labels: NDArray[np.int8], n: int = 6) -> ComparedRows:
    decisions = (decide(Fixed(0.5, 0.9), scores, TIMES)[:n] for scores in (CHAMPION, SHADOW))
    return ComparedRows(TIMES[:n], CHAMPION[:n], SHADOW[:n], *decisions, labels[:n])


def test_agreement_is_on_decisions() -> None:
    result = compare(rows(LABELS), 2)
    assert result[:5] == (6, 0.5, 2, 3, 1)


def test_the_highest_of_each_day_are_reviewed_and_only_verdicts_count() -> None:
    result = compare(rows(LABELS), 2)
    assert result.champion == (4, 3, 1, 1 / 3)  # the rows 0, 1 and 4, 3; the last has no verdict
    assert result.shadow == (4, 4, 3, 3 / 4)  # the rows 0, 2 and 5, 4


def test_nothing_is_known_of_nothing() -> None:
    result = compare(rows(LABELS, 0), 2)
    assert (result.rows, result.agreement, result.shadow) == (0, None, (0, 0, 0, None))
    unjudged = compare(rows(np.full(6, -1, np.int8)), 1)
    assert unjudged.champion == (2, 0, 0, None)
