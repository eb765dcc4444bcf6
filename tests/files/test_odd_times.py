"""Times that are hardly those of payments, however many are looked at at once."""

from __future__ import annotations

import numpy as np
import pytest

from model.files.odd_times import OddTimes
from tidegate.clock import now_us
from tidegate.profile.spec import DAY


@pytest.mark.parametrize(
    ("times", "doubt"),
    [
        ([1, 2, 3], "3 of 3 times lie before the year 2000 (the first is of 1970-01-01)"),
        ([1, 2 * 10**15, 3], "2 of 3 times lie before the year 2000"),
        ([1, 2 * 10**15], ""),
        ([0, 0, 0], ""),
        ([], ""),
        ([now_us() + 3 * DAY, now_us() + 2 * DAY, 1], "2 of 3 times lie after tomorrow"),
        ([now_us() - DAY, now_us()], ""),
    ],
)
def test_times_that_are_hardly_meant_are_doubted(times: list[int], doubt: str) -> None:
    odd = OddTimes()
    for some in times[:1], times[1:]:
        odd.add(np.array(some, np.int64))
    found = odd.doubt()
    assert found.startswith(doubt)
    assert bool(found) == bool(doubt)
