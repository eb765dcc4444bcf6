"""How long a stage gathers before its next transaction."""

from __future__ import annotations

import pytest

from tidegate.pipeline import FEATURES, FEEDBACK, RAW
from tidegate.stream.pace import BEHIND_US, FEW, PERIOD_US, rest_seconds


@pytest.mark.parametrize(
    ("topic", "records", "took_us", "rest_us"),
    [
        (RAW, 0, 100_000, 0),  # an idle poll: the next record is taken at once
        (RAW, 1, 10_000, PERIOD_US - 10_000),
        (FEEDBACK, FEW - 1, 0, PERIOD_US),
        (FEATURES, 1, 1_000, BEHIND_US - 1_000),  # the step before has gathered
        (RAW, 1, PERIOD_US, 0),
        (RAW, 1, 10 * PERIOD_US, 0),  # never a negative wait
        (RAW, FEW, 0, 0),  # behind: no time to lose
    ],
)
def test_only_who_has_taken_a_little_rests(
    topic: str, records: int, took_us: int, rest_us: int
) -> None:
    assert rest_seconds(topic, records, took_us) == pytest.approx(rest_us / 1e6)
