"""What is found out about a file before any of it is posted, and what there is to say of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from model.files.odd_times import OddTimes
from model.files.rows import Rows
from model.files.sifting import Sifted
from tidegate.profile import Profile
from tidegate.profile.spec import SECOND, Windowed, pane_us

Ints = NDArray[np.int64]

_EARLIEST = -(2**62)


@dataclass
class FirstReading:
    """The counts of one file, whose rows `add` takes in order."""

    profile: Profile
    rows: int = 0
    refused: int = 0
    older: int = 0
    """Rows that are older than a row before them."""
    far_older: int = 0
    """Those that are so by more than the smallest pane."""
    odd_times: OddTimes = field(default_factory=OddTimes)
    oldest: int | None = None
    """The earliest time (us) of the rows that the API takes."""
    _newest: int = _EARLIEST

    @property
    def newest(self) -> int | None:
        """The latest time (us) of the rows that the API takes."""
        return None if self.oldest is None else self._newest

    def add(self, rows: Rows, sifted: Sifted) -> None:
        """Count these rows."""
        self.rows += len(rows.numbers)
        self.refused += len(sifted.refused)
        if self.profile.time_field is not None and len(sifted.times):
            self._look_at(sifted.times)

    def _look_at(self, times: Ints) -> None:
        newest = np.maximum.accumulate(np.concatenate([[self._newest], times]))
        self.older += int((times < newest[:-1]).sum())
        self.far_older += int((times < newest[:-1] - smallest_pane(self.profile)).sum())
        self.odd_times.add(times)
        self._newest = int(newest[-1])
        oldest = int(times.min())
        self.oldest = oldest if self.oldest is None else min(self.oldest, oldest)

    def sentences(self, *, in_order: bool) -> list[str]:
        """What to tell the sender; `in_order`: the rows are sorted by time."""
        return [*self._order(in_order), *filter(None, [self.odd_times.doubt()])]

    def _order(self, in_order: bool) -> Iterator[str]:
        if in_order and self.older:
            older = f"{self.older:,} of {self.rows:,} rows"
            yield f"{older} were older than one before: sent in time order"
        elif self.far_older:
            yield (
                f"{self.far_older:,} of {self.rows:,} rows go back in time by more than "
                f"{smallest_pane(self.profile) // SECOND} s, the smallest pane: windows that "
                "should hold them may not; without --as-is they are sent in time order"
            )


def smallest_pane(profile: Profile) -> int:
    """The width (us) of the narrowest pane of the profile's windows; 0 where it has none."""
    windows = [spec.window for spec in profile.computed.values() if isinstance(spec, Windowed)]
    return min(map(pane_us, windows), default=0)
