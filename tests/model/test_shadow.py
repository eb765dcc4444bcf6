from __future__ import annotations

import numpy as np

from model.shadow import Rows, compare
from tidegate.profile.spec import DAY

TIMES = np.array([0, 1, 2, DAY, DAY + 1, DAY + 2], np.int64)
CHAMPION = np.array([0.95, 0.6, 0.1, 0.2, 0.3, 0.1])
SHADOW = np.array([0.95, 0.1, 0.7, 0.2, 0.3, 0.9])
LABELS = np.array([1, 0, 1, -1, 0, 1], np.int8)


def test_agreement_is_on_decisions() -> None:
    found = compare(Rows(TIMES, CHAMPION, SHADOW, LABELS), [0.5, 0.9], 2)
    assert found[:5] == (6, 0.5, 2, 3, 1)


def test_the_highest_of_each_day_are_reviewed_and_only_verdicts_count() -> None:
    found = compare(Rows(TIMES, CHAMPION, SHADOW, LABELS), [0.5, 0.9], 2)
    assert found.champion == (4, 3, 1, 1 / 3)  # the rows 0, 1 and 4, 3; the last has no verdict
    assert found.shadow == (4, 4, 3, 3 / 4)  # the rows 0, 2 and 5, 4


def test_nothing_is_known_of_nothing() -> None:
    none = np.zeros(0)
    found = compare(Rows(none.astype(np.int64), none, none, none.astype(np.int8)), [0.5, 0.9], 2)
    assert (found.rows, found.agreement, found.shadow) == (0, None, (0, 0, 0, None))
    unjudged = compare(Rows(TIMES, CHAMPION, SHADOW, np.full(6, -1, np.int8)), [0.5, 0.9], 1)
    assert unjudged.champion == (2, 0, 0, None)
