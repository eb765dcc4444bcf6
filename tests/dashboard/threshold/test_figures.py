"""The figures of the page, without a server."""

from __future__ import annotations

import numpy as np
import pytest

from dashboard.threshold import figures
from db.blocks.packed import ROW
from db.recent_scores import Verdicts
from model.ensemble.thresholds import ByAmount, Fixed
from tidegate.profile import load_profile
from tidegate.profile.spec import DAY

CARD = load_profile("card")
SCORES = (0.1, 0.3, 0.55, 0.9, 0.95)


def rows(days: float = 2.0) -> np.ndarray:
    made = np.zeros(len(SCORES), ROW)
    made["seq"] = np.arange(1, 1 + len(SCORES))
    made["event_us"] = (np.linspace(0, days, len(SCORES)) + 100) * DAY
    made["score"], made["amount_minor"] = SCORES, 10_000
    made["decision"] = [0, 0, 1, 2, 2]
    return made


def test_a_day_of_the_week() -> None:
    week = figures.week_of(rows(), CARD)
    assert week.days == 2.0
    document = figures.document(week, nothing_judged())
    at = figures.at(document, 0.5)
    assert at["alerts"] == 1.5
    assert at["amount"] == 150.0
    assert at["precision"] is None
    assert figures.at(document, 0.9)["alerts"] == 1.0


def nothing_judged() -> figures.Mature:
    none = np.zeros(0)
    flags = none.astype(bool)
    whole = none.astype(np.int64)
    verdicts = Verdicts([], whole, none, whole, none.astype(np.uint8), flags, flags)
    return figures.mature_of(rows(), verdicts, CARD, 200 * DAY)


def test_older_rows_are_not_of_the_week() -> None:
    assert len(figures.week_of(rows(20.0), CARD).rows) == 2
    assert figures.week_of(rows()[:0], CARD).alerts[0] == 0


def test_what_would_change() -> None:
    found = figures.changes(rows(), Fixed(0.5, 0.9), Fixed(0.2, 0.93), 1)
    assert [(one.before, one.after, one.rows, one.newest) for one in found] == [
        (0, 1, 1, [2]),
        (2, 1, 1, [4]),
    ]
    assert figures.changes(rows(), Fixed(0.5, 0.9), Fixed(0.5, 0.9), 1) == []
    by_amount = ByAmount(review_cost=100, block_cost=1_000)
    assert figures.changes(rows(), by_amount, by_amount, 1) == []


def test_presets() -> None:
    own = Fixed(0.4, 0.8)
    found = figures.presets(rows(), own, calibrated=True)
    assert found["own"] == own
    assert found["balanced"] == Fixed(0.2, 0.9)
    assert list(found) == ["own", "cautious", "balanced", "permissive"]
    ranks = figures.presets(rows(), ByAmount(1, 2), calibrated=False)
    assert list(ranks) == ["cautious", "balanced", "permissive"]
    assert ranks["cautious"].review <= ranks["cautious"].block
    assert figures.presets(rows()[:0], own, calibrated=False) == {"own": own}


def test_the_chart() -> None:
    assert figures.chart([0.0, None, 0.5]) == "0.00,100.00 100.00,50.00"
    assert figures.band([0.0, None, 0.5], [0.2, None, 0.7]) == (
        "0.00,80.00 100.00,30.00 100.00,50.00 0.00,100.00"
    )


@pytest.mark.parametrize("threshold", [0.0, 0.005, 0.5, 0.995, 1.0])
def test_the_sliders_places(threshold: float) -> None:
    assert figures.GRID[figures.place_of(threshold)] == threshold
