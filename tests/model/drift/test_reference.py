from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import ks_2samp

from model.bundles.manifest import read_reference
from model.drift.reference import Grid, psi, reference_of
from tests.trained import Trained
from tidegate.errors import ConfigError

CHANCE = np.random.default_rng(2)
X = np.column_stack([CHANCE.lognormal(3, 1, 5000), CHANCE.integers(0, 2, 5000)]).astype(np.float64)
NAMES = ["amount", "flag"]


def test_the_same_distribution_has_hardly_moved() -> None:
    again = np.column_stack([CHANCE.lognormal(3, 1, 5000), CHANCE.integers(0, 2, 5000)])
    assert max(psi(reference_of(NAMES, X, X[:, 0]), NAMES, again).values()) < 0.02


def test_it_is_the_sum_over_bins() -> None:
    flags = np.array([[0.0]] * 50 + [[1.0]] * 50)
    moved = np.array([[0.0]] * 90 + [[1.0]] * 10)
    expected = 0.4 * np.log(0.9 / 0.5) + -0.4 * np.log(0.1 / 0.5)
    assert psi(reference_of(["flag"], flags, flags[:, 0]), ["flag"], moved)[
        "flag"
    ] == pytest.approx(expected)


@pytest.mark.parametrize("broken", [X[:, 0] * 100, np.full(5000, np.nan), np.zeros(5000)])
def test_cents_for_units_and_lost_columns_are_far_away(broken: np.ndarray) -> None:
    moved = psi(reference_of(NAMES, X, X[:, 0]), NAMES, np.column_stack([broken, X[:, 1]]))
    assert next(iter(moved)) == "amount"
    assert moved["amount"] > 1.0
    assert moved["flag"] == 0.0


def test_a_feature_that_never_was_there_has_not_moved() -> None:
    nothing = np.full((100, 1), np.nan)
    assert psi(reference_of(["gone"], nothing, nothing[:, 0]), ["gone"], nothing) == {"gone": 0.0}


def test_a_bundle_keeps_the_reference_of_its_training(trained: Trained) -> None:
    reference = read_reference(trained.bundle.path)
    assert reference is not None
    features = list(trained.bundle.feature_names)
    assert list(reference.features) == features
    rows = trained.values[
        : reference.rows, [trained.profile.values.index(name) for name in features]
    ]
    assert max(psi(reference, features, rows).values()) < 0.01


def test_ks_is_the_largest_gap_between_the_distributions() -> None:
    then, now = CHANCE.normal(size=(4000, 1)), CHANCE.normal(0.7, 1.3, size=(3000, 1))
    reference = reference_of(["x"], then, then[:, 0])
    grid, edges = Grid([reference.features["x"]]), np.array(reference.features["x"].edges)
    expected = max(abs(float((now < edge).mean() - (then < edge).mean())) for edge in edges)
    assert grid.ks(grid.count(now))[0] == pytest.approx(expected)
    assert expected == pytest.approx(ks_2samp(then[:, 0], now[:, 0]).statistic, abs=0.03)
    assert grid.ks(grid.count(np.full((100, 1), np.nan)))[0] == 1.0


def test_a_reference_is_what_the_manifest_says_or_an_error(
    trained: Trained, tmp_path: Path
) -> None:
    copy = tmp_path / trained.bundle.hash
    shutil.copytree(trained.bundle.path, copy)
    file = copy / "reference.json"
    file.write_bytes(file.read_bytes().replace(b"0.1", b"0.2", 1))
    with pytest.raises(ConfigError, match="the manifest says"):
        read_reference(copy)
    with pytest.raises(ConfigError, match="cannot be read"):
        read_reference(tmp_path / "gone")
