"""What is found out about a file before any of it is posted, and what there is to say of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import msgspec
import numpy as np
from numpy.typing import NDArray

from model.features.columns import Unfit, event_times
from model.files.refusals import refusal_of
from model.files.rows import Refusal, Rows
from tidegate.clock import now_us
from tidegate.errors import Rejected
from tidegate.profile import Profile
from tidegate.profile.decoding import Fault, diagnose, may_hold_nul
from tidegate.profile.spec import DAY, SECOND, Windowed, pane_us

Ints = NDArray[np.int64]

_YEAR_2000_US = 946_684_800 * SECOND
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
    """The times i8[n] us of lines that are all good; None where one may be bad."""
    if may_hold_nul(lines):
        return None
    try:
        txs = profile.decode_all(lines)
        times = event_times(profile, txs, np.full(len(txs), received_us, np.int64))
    except (Unfit, Rejected, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    others = [
        field
        for field in profile.fields.values()
        if field.needs_look() and field.name != profile.time_field
    ]
    values = ((field, getattr(tx, field.name)) for field in others for tx in txs)
    if any(value is not None and field.fault(value, received_us) for field, value in values):
        return None
    return times


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
            refused[number] = _refusal(profile, rows, place, error)
    return Sifted(
        np.array(at, np.intp),
        np.array(times, np.int64),
        sorted(refused.values(), key=lambda one: one.number),
    )


def _refusal(profile: Profile, rows: Rows, place: int, error: Rejected) -> Refusal:
    line = rows.lines[place]
    faults = diagnose(
        line, profile.fields, profile.id_field, now_us(), unknown=profile.unknown_fields
    )
    fault = next(iter(faults), Fault(error.reason, "", error.detail))
    return refusal_of(profile.fields, int(rows.numbers[place]), line, fault)


@dataclass
class FirstReading:
    """The counts of one file. `add` takes its rows in order, `finish` when all are there."""

    profile: Profile
    rows: int = 0
    refused: int = 0
    older: int = 0
    """Rows that are older than a row before them."""
    far_older: int = 0
    """Those that are so by more than the smallest pane."""
    before_2000: int = 0
    after_tomorrow: int = 0
    repeated: Ints = field(default_factory=lambda: np.empty(0, np.int64))
    """Hashes of the ids that more than one row has, sorted."""
    _newest: int = _EARLIEST
    _ids: bytearray = field(default_factory=bytearray)

    def add(self, rows: Rows, sifted: Sifted) -> None:
        """Count these rows."""
        self.rows += len(rows.numbers)
        self.refused += len(sifted.refused)
        self._ids += hashes_of_ids([rows.ids[i] for i in sifted.at]).tobytes()
        if self.profile.time_field is not None and len(sifted.times):
            self._look_at(sifted.times)

    def _look_at(self, times: Ints) -> None:
        newest = np.maximum.accumulate(np.concatenate([[self._newest], times]))
        self.older += int((times < newest[:-1]).sum())
        self.far_older += int((times < newest[:-1] - smallest_pane(self.profile)).sum())
        self.before_2000 += int((times < _YEAR_2000_US).sum())
        self.after_tomorrow += int((times > now_us() + DAY).sum())
        self._newest = int(newest[-1])

    def finish(self) -> None:
        """Know the repeated ids: 8 bytes a row were held until now."""
        ids = np.frombuffer(self._ids, np.int64)
        ids.sort()
        self.repeated = np.unique(ids[1:][ids[1:] == ids[:-1]])
        self._ids = bytearray()

    def sentences(self, *, in_order: bool) -> list[str]:
        """What to tell the sender; `in_order`: the rows are sorted by time."""
        return [*self._order(in_order), *self._years()]

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

    def _years(self) -> Iterator[str]:
        good = self.rows - self.refused
        for some, when in (
            (self.before_2000, "before the year 2000"),
            (self.after_tomorrow, "after tomorrow"),
        ):
            if 2 * some > good:
                yield (
                    f"{some:,} of {good:,} rows have a {self.profile.time_field} {when}: a number "
                    "is taken for seconds since 1970-01-01 unless the field names a `unit`; in "
                    "another, or counted from elsewhere, it makes windows and label delay wrong"
                )


def hashes_of_ids(ids: Sequence[str]) -> Ints:
    """i8[n] by which this process tells ids apart."""
    return np.fromiter(map(hash, ids), np.int64, len(ids))


def smallest_pane(profile: Profile) -> int:
    """The width (us) of the narrowest pane of the profile's windows; 0 where it has none."""
    windows = [spec.window for spec in profile.computed.values() if isinstance(spec, Windowed)]
    return min(map(pane_us, windows), default=0)
