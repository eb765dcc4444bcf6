"""How long a stage gathers before its next transaction."""

from __future__ import annotations

import pytest

from tidegate.stream.pace import FEW, PERIOD_US, rest_seconds


@pytest.mark.parametrize(
    ("records", "took_us", "rest"),
    [
        (0, 100_000, 0.0),  # an idle poll: the next record is taken at once
        (1, 10_000, (PERIOD_US - 10_000) / 1e6),
        (FEW - 1, 0, PERIOD_US / 1e6),
        (1, PERIOD_US, 0.0),
        (1, 10 * PERIOD_US, 0.0),  # never a negative wait
        (FEW, 0, 0.0),  # behind: no time to lose
    ],
)
def test_only_who_has_taken_a_little_rests(records: int, took_us: int, rest: float) -> None:
    assert rest_seconds(records, took_us) == pytest.approx(rest)
