from __future__ import annotations

import numpy as np

from model.ensemble.levels import LEVELS, levels


def test_whole_columns_are_tried_at_whole_numbers_and_others_at_short_ones() -> None:
    found = levels(
        [
            np.array([0.5000000001, 1.5, 3.5]),
            np.array([1.23456, 98.7654]),
            np.empty(0),
            np.array([1e-35, np.inf]),
        ]
    )
    assert found.shape == (4, LEVELS)
    assert found[0, :3].tolist() == [0, 1, 3]
    assert found[1, :2].tolist() == [1.23, 98.8]
    assert np.isnan(found[2]).all()
    assert found[3, 0] == 0


def test_many_cuts_are_thinned_to_both_ends() -> None:
    tried = levels([np.arange(100) + 0.5])[0]
    assert (tried[0], tried[-1]) == (0, 99)
    assert (np.diff(tried) > 0).all()


def test_lightgbms_zero_is_zero_beside_other_cuts_too() -> None:
    """It writes 1e-35 for a cut at zero, which no person would name."""
    zero = 1.0000000180025095e-35
    assert levels([np.array([-zero, zero, 0.123, 4.56])])[0, :3].tolist() == [0, 0.123, 4.56]
