"""A doubt about times that are hardly those of payments: their numbers may count something else."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tidegate.clock import day_of, now_us
from tidegate.profile.spec import DAY
from tidegate.words import count

_YEAR_2000_US = 946_684_800_000_000


@dataclass
class _Odd:
    """So many times of a kind, and the first one (us)."""

    count: int = 0
    first: int = 0

    def add(self, times: NDArray[np.int64]) -> None:
        if not self.count and len(times):
            self.first = int(times[0])
        self.count += len(times)


class OddTimes:
    """Counts times before 2000 and after tomorrow."""

    def __init__(self) -> None:
        self._total = 0
        self._before, self._after = _Odd(), _Odd()

    def add(self, times: NDArray[np.int64]) -> None:
        """Take times i8[n] us. A zero is none."""
        self._total += len(times)
        self._before.add(times[(times != 0) & (times < _YEAR_2000_US)])
        self._after.add(times[times > now_us() + DAY])

    def doubt(self) -> str:
        """A sentence where most of the times are odd, else ""."""
        for odd, where in (
            (self._before, "before the year 2000"),
            (self._after, "after tomorrow"),
        ):
            if 2 * odd.count > self._total:
                return (
                    f"{odd.count:,} of {count(self._total, 'time')} lie {where} (the first is of "
                    f"{day_of(odd.first)}): do the field's `unit` and `since` say what "
                    "they count, and from when?"
                )
        return ""
