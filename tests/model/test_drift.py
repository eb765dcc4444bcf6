from __future__ import annotations

import numpy as np
import pytest

from model.drift import psi, read_reference, reference_of
from tests.model.conftest import Trained

CHANCE = np.random.default_rng(2)
X = np.column_stack([CHANCE.lognormal(3, 1, 5000), CHANCE.integers(0, 2, 5000)]).astype(np.float64)
NAMES = ["amount", "flag"]


def test_the_same_distribution_has_hardly_moved() -> None:
    again = np.column_stack([CHANCE.lognormal(3, 1, 5000), CHANCE.integers(0, 2, 5000)])
    assert max(psi(reference_of(NAMES, X), NAMES, again).values()) < 0.02


def test_it_is_the_sum_over_bins() -> None:
    flags = np.array([[0.0]] * 50 + [[1.0]] * 50)
    moved = np.array([[0.0]] * 90 + [[1.0]] * 10)
    expected = 0.4 * np.log(0.9 / 0.5) + -0.4 * np.log(0.1 / 0.5)
    assert psi(reference_of(["flag"], flags), ["flag"], moved)["flag"] == pytest.approx(expected)


@pytest.mark.parametrize("broken", [X[:, 0] * 100, np.full(5000, np.nan), np.zeros(5000)])
def test_cents_for_units_and_lost_columns_are_far_away(broken: np.ndarray) -> None:
    moved = psi(reference_of(NAMES, X), NAMES, np.column_stack([broken, X[:, 1]]))
    assert next(iter(moved)) == "amount"
    assert moved["amount"] > 1.0
    assert moved["flag"] == 0.0


def test_a_feature_that_never_was_there_has_not_moved() -> None:
    nothing = np.full((100, 1), np.nan)
    assert psi(reference_of(["gone"], nothing), ["gone"], nothing) == {"gone": 0.0}


def test_a_bundle_keeps_the_reference_of_its_training(trained: Trained) -> None:
    reference = read_reference(trained.bundle)
    assert reference is not None
    features = list(trained.bundle.feature_names)
    assert list(reference.features) == features
    rows = trained.values[:reference.rows, [trained.profile.values.index(name) for name in features]]
    assert max(psi(reference, features, rows).values()) < 0.01
