"""What is found out about a file before any of it is posted, and what there is to say of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from model.features.columns import inputs_of
from model.features.intake import UNFIT, decode_all
from model.files.odd_times import OddTimes
from model.files.refusals import described
from model.files.rows import Refusal, Rows
from tidegate.clock import now_us
from tidegate.errors import Rejected
from tidegate.profile import Profile
from tidegate.profile.spec import SECOND, Windowed, pane_us

Ints = NDArray[np.int64]

_EARLIEST = -(2**62)


@dataclass(frozen=True)
class Sifted:
    """Rows as the profile's decoder sees them: the places `at` i8[n] of those that the API takes,
    their `times` i8[n] us, and the others.
    """

    at: NDArray[np.intp]
    times: Ints
    refused: list[Refusal]


def sift(profile: Profile, rows: Rows) -> Sifted:
    """What the API will take of these rows, and why not the others."""
    received = now_us()
    times = None if rows.refused else _times_at_once(profile, rows.lines, received)
    if times is not None:
        return Sifted(np.arange(len(times)), times, [])
    return _one_by_one(profile, rows, received)


def _times_at_once(profile: Profile, lines: Sequence[bytes], received_us: int) -> Ints | None:
    """The times i8[n] us of lines that are all good; None where one is bad."""
    try:
        txs = decode_all(profile, lines)
        received = np.full(len(txs), received_us, np.int64)
        return inputs_of(profile, txs, received, only=())[0]
    except UNFIT:
        return None


def _one_by_one(profile: Profile, rows: Rows, received_us: int) -> Sifted:
    refused = {refusal.number: refusal for refusal in rows.refused}
    at: list[int] = []
    times: list[int] = []
    for place, (number, line) in enumerate(zip(rows.numbers.tolist(), rows.lines, strict=True)):
        if number in refused:
            continue
        try:
            times.append(profile.event_us(profile.decode(line, received_us), received_us))
            at.append(place)
        except Rejected as error:
            refused[number] = described(profile, number, line, error, received_us)
    return Sifted(
        np.array(at, np.intp),
        np.array(times, np.int64),
        sorted(refused.values(), key=lambda one: one.number),
    )


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
