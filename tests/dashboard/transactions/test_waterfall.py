"""Bars that add up, distances that compare, charts that hold all points."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.transactions.chart import HEIGHT, WIDTH, chart
from dashboard.transactions.waterfall import explained, log_odds, waterfall
from db.search.around import Neighbour, _distances
from tests.faults.bundle import card_bundle
from tidegate.errors import ConfigError
from tidegate.settings import Settings

SHARE = st.floats(-20, 20)


@given(
    score=st.floats(0, 1),
    shares=st.lists(st.tuples(st.text(max_size=3), SHARE), max_size=6),
    base=st.none() | SHARE,
    limits=st.none() | st.tuples(st.floats(0, 1), st.floats(0, 1)),
)
def test_the_steps_add_up(
    score: float,
    shares: list[tuple[str, float]],
    base: float | None,
    limits: tuple[float, float] | None,
) -> None:
    fall = waterfall(score, shares, limits, base)
    *steps, total = fall.bars
    assert sum(bar.value for bar in steps) == pytest.approx(log_odds(score), abs=1e-6)
    assert total.value == log_odds(score)
    assert [(bar.name, bar.value) for bar in steps if bar.kind == "feature"] == shares
    assert fall.base == (base is not None)
    for bar in fall.bars:
        assert -1e-6 <= bar.left <= 100 + 1e-6
        assert bar.left + bar.width <= 100.6


@given(st.lists(st.tuples(st.integers(0, 10**15), st.integers(-(10**9), 10**9)), min_size=2))
def test_a_chart_holds_all_points(pairs: list[tuple[int, int]]) -> None:
    neighbours = [
        Neighbour(place, str(place), us, amount, 0.5, "approve", None)
        for place, (us, amount) in enumerate(pairs)
    ]
    made = chart(neighbours, "0", money=True)
    assert made is not None
    assert [point.this for point in made.points] == [False] * (len(pairs) - 1) + [True]
    for point in made.points:
        assert 0 <= point.x <= WIDTH
        assert 0 <= point.y <= HEIGHT
    assert chart(neighbours[:1], "0", money=True) is None


def test_each_feature_counts_alike() -> None:
    features = np.array([[0, 0], [1000, 0], [0, 1], [np.nan, 0]], np.float64)
    far, near, missing = _distances(features)
    assert far == pytest.approx(1000 / features[:3, 0].std() / 2**0.5)
    assert near == pytest.approx(1 / features[:, 1].std() / 2**0.5)
    assert missing == pytest.approx(1 / 2**0.5)


@pytest.mark.training
def test_the_bundle_tells_the_base_and_explains_what_was_approved(tmp_path: Path) -> None:
    folder, bundle = card_bundle()
    values = np.abs(np.random.default_rng(1).normal(size=(1, len(bundle.manifest.values))))
    scores = bundle.score(values)
    row = {
        "bundle": bundle.hash,
        "score": float(scores.final[0]),
        "features": dict(zip(bundle.manifest.values, values[0].tolist(), strict=True)),
        "scores": dict(zip(bundle.manifest.detectors, scores.detectors[0].tolist(), strict=True)),
        "reasons": [],
    }
    settings = Settings(bundles=str(folder))
    fall = explained(settings, row, (0.5, 0.9))
    shares = bundle.contributions(values, scores.detectors)[0]
    assert fall.bars[0].value == pytest.approx(shares[0])
    assert [bar.kind for bar in fall.bars] == ["base", *["feature"] * 5, "others", "total"]
    assert not fall.learnt
    assert explained(settings, row | {"score": 0.999}, None).learnt
    with pytest.raises(ConfigError):
        explained(settings, row | {"features": {}}, None)
    with pytest.raises(ConfigError):
        explained(Settings(bundles=str(tmp_path)), row, None)
