# mypy: disable-error-code="no-any-return"
# Elements of arrays are Any to mypy; numba infers every type.
"""The arithmetic on one entity's row of words: windows, recent values, sums. Compiled.

A window is a ring of panes. A pane's first word packs its number (time // width) and its count,
`number << 32 | count`; a slot whose number is too old does not count, so nothing has to expire it.
The first words of all slots come first, then all second words, and so on. The row of an account
with the hash 77 under the plan drawn in `model.features.plan`, after 12.50 and 8.00 at 10:02 and
10:03, and 30.00 at 10:09:

    word   0     77                     key
           1     10:09, in us           newest event time
           2     10:09, in us           ingest time when it was touched last
           3     30 days before word 1  the floor
           4     0                      its generation (`model.features.keys`)
           5-18  the first words of 14 slots, pane p in slot p % 14
                 slot 12: 5680344 << 32 | 2    10:00-10:05, 2 transactions
                 slot 13: 5680345 << 32 | 1    10:05-10:10, 1 transaction
                 the others: 0
          19-32  the second words: the sums in minor units
                 slot 12: 2050, slot 13: 3000

An hour is the newest 13 panes, 12 and the one that is filling: 3 transactions, 5050 cents. The 14th
slot is for the look-ahead: `max_ahead`, 5 minutes, begins one more pane, which must not take the
slot of one that still counts. Amounts are integers, so that the order inside a pane cannot change a
bit. An event before the floor is late by more than `LATE_US`. What only such events could reach may
be there or not (`model.features.packing` leaves it out), so it never counts. `scratch` carries
count, sum and spread (or median and deviation) from a scan to the outputs after it.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from model.features import exact
from model.features.program import FLOOR, NEWEST
from model.jit import jit
from tidegate.profile.number_types import NARROW_LIMIT

Row = NDArray[np.int64]
Floats = NDArray[np.float64]

_COUNT = 0xFFFFFFFF
_ALL, _NEVER = -(2**62), 2**62
_LIMIT = float(NARROW_LIMIT)
OWN = 2
"""The last places of `scratch`: what a transaction adds to totals whose ring has no pane for it."""


@jit
def oldest_of(row: Row, slots: int, width: int, time: int) -> int:
    """The number of the oldest pane of a ring that may count for an event; `_ALL` where any does
    that its windows reach, because the event is not late.
    """
    return row[FLOOR] // width - slots if time < row[NEWEST] else _ALL


@jit
def slot_of(row: Row, base: int, slots: int, words: int, pane: int, oldest: int) -> int:
    """The place of pane number `pane`, emptied if an older one was there; -1 if a newer one is, or
    if it is older than the `oldest` that counts.
    """
    place = base + pane % slots
    held = row[place] >> 32
    if held > pane or pane < oldest:
        return -1
    if held < pane:
        row[place] = pane << 32
        for k in range(1, words):
            row[place + k * slots] = 0
    return place


@jit
def _fixed(value: float, scale: float) -> int:
    """A value in minor units."""
    return exact.whole(min(max(value * scale, -_LIMIT), _LIMIT))


@jit
def window_add(row: Row, place: int, slots: int, words: int, value: float, scale: float) -> None:
    """Add one value to the pane at `place`: 1 to the count, then sum, then sum of squares."""
    row[place] += 1
    if words > 1:
        fixed = _fixed(value, scale)
        row[place + slots] += fixed
        if words > 2:
            square = fixed * fixed
            row[place + 2 * slots] += square >> 32
            row[place + 3 * slots] += square & _COUNT


@jit
def window_note(
    row: Row,
    base: int,
    slots: int,
    words: int,
    pane: int,
    oldest: int,
    value: float,
    scale: float,
    scratch: Floats,
) -> None:
    """Add a value, if it is not missing, to pane number `pane`.

    Where a newer pane has its slot, the totals of this transaction alone will hold it.
    """
    own = len(scratch) - OWN
    scratch[own] = scratch[own + 1] = 0.0
    if math.isnan(value):
        return
    place = slot_of(row, base, slots, words, pane, oldest)
    if place >= 0:
        window_add(row, place, slots, words, value, scale)
    else:
        scratch[own], scratch[own + 1] = 1.0, float(_fixed(value, scale))


@jit
def total_of(row: Row, base: int, slots: int, word: int, pane: int, before: int) -> int:
    """Sum of one word over the panes after number `before` that end with number `pane`.

    There is no branch in it, so that it becomes vector instructions.
    """
    total = 0
    panes = row[base : base + slots]
    words = row[base + word * slots : base + (word + 1) * slots]
    for k in range(len(panes)):
        number = panes[k] >> 32
        total += words[k] if (number <= pane) & (number > before) else 0
    return total


@jit
def window_total(
    row: Row, base: int, slots: int, words: int, pane: int, before: int, scratch: Floats
) -> None:
    """Total the panes after `before` that end with number `pane`, after `window_note`."""
    own = len(scratch) - OWN
    n = exact.whole(scratch[own]) + (total_of(row, base, slots, 0, pane, before) & _COUNT)
    scratch[0] = float(n)
    if words > 1:
        late = exact.whole(scratch[own + 1])
        total = late + total_of(row, base, slots, 1, pane, before)
        scratch[1] = float(total)
        if words > 2 and n > 0:
            upper = total_of(row, base, slots, 2, pane, before)
            squares = exact.joined(upper, total_of(row, base, slots, 3, pane, before))
            squares = exact.add(*squares, 0, late * late)
            scratch[2] = exact.spread(n, total >> 63, total, *squares)


@jit
def verdict_add(
    row: Row, base: int, slots: int, width: int, matures: int, verdicts: int, frauds: int
) -> None:
    """Add a verdict that counts from `matures` on: its pane keeps verdicts, frauds, newest time."""
    oldest = oldest_of(row, slots, width, matures)
    place = slot_of(row, base, slots, 3, matures // width, oldest)
    if place >= 0:
        row[place] += verdicts
        row[place + slots] += frauds
        row[place + 2 * slots] = max(row[place + 2 * slots], matures)


@jit
def verdict_total(
    row: Row, base: int, slots: int, width: int, reach: int, time: int, scratch: Floats
) -> None:
    """Total the verdicts that matured by `time` in `reach` panes.

    A pane that holds a verdict matured later is left out rather than peeked into.
    """
    newest, count, frauds = time // width, 0, 0
    before = max(newest - reach, oldest_of(row, slots, width, time) - 1)
    words = row[base : base + 3 * slots]
    for k in range(slots):
        number = words[k] >> 32
        counts = (number <= newest) & (number > before) & (words[k + 2 * slots] <= time)
        count += words[k] & _COUNT if counts else 0
        frauds += words[k + slots] if counts else 0
    scratch[0], scratch[1] = float(count), float(max(frauds, 0))


@jit
def verdict_decay(
    row: Row, base: int, slots: int, width: int, reach: int, kept: float, time: int, scratch: Floats
) -> None:
    """As `verdict_total`, newest pane first, each pane weighing `kept` times the one after it."""
    newest = time // width
    before = max(newest - reach, oldest_of(row, slots, width, time) - 1)
    count, frauds, weight = 0.0, 0.0, 1.0
    slot = newest % slots
    for number in range(newest, before, -1):
        place = base + slot
        if row[place] >> 32 == number and row[place + 2 * slots] <= time:
            count += weight * float(row[place] & _COUNT)
            frauds += weight * float(row[place + slots])
        weight *= kept
        slot = slot - 1 if slot > 0 else slots - 1
    scratch[0], scratch[1] = count, max(frauds, 0.0)


@jit
def distinct(row: Row, base: int, keep: int, window: int, time: int, value: int) -> float:
    """Note `value` (0: missing) among `keep` pairs (hash, time); count those in the window, and it.

    The window ends at `time`. A new value takes the place of the one that was seen least recently;
    all that were seen a window before the row's floor are alike, and as good as none.
    """
    same, oldest, least, floor = -1, base, _NEVER, max(row[FLOOR] - window, 0)
    for k in range(keep):
        place = base + 2 * k
        seen_at = row[place + 1] if row[place + 1] > floor else 0
        if row[place] == value and seen_at > 0:
            same = place
        if seen_at < least:
            oldest, least = place, seen_at
    if value != 0 and same >= 0:
        row[same + 1] = max(row[same + 1], time + 1)
    elif value != 0 and least < time + 1:
        row[oldest], row[oldest + 1] = value, time + 1
    seen = 1 if value != 0 else 0
    for k in range(keep):
        place = base + 2 * k
        if row[place] != value and max(time - window, floor) < row[place + 1] <= time + 1:
            seen += 1
    return float(seen)


@jit
def recent(
    row: Row, rowf: Floats, base: int, keep: int, value: float, regs: Floats, dst: int
) -> None:
    """Note `value`; write the newest `keep` values, newest first, to the registers from `dst` on.

    Where there are fewer, NaN is written.
    """
    rowf[base + 1 + row[base] % keep] = value
    row[base] += 1
    for k in range(keep):
        regs[dst + k] = rowf[base + 1 + (row[base] - 1 - k) % keep] if k < row[base] else np.nan


@jit
def decay(row: Row, rowf: Floats, base: int, time: int, value: float, rate: float) -> float:
    """Add `value` to the decayed sum, as of the newest event: a late value is decayed first."""
    if np.isnan(value):
        value = 0.0
    if row[base + 1] == 0:
        rowf[base], row[base + 1] = value, time + 1
        return value
    gap = float(time + 1 - row[base + 1])
    if gap >= 0:
        rowf[base] = rowf[base] * math.exp(-rate * gap) + value
        row[base + 1] = time + 1
    else:
        rowf[base] += value * math.exp(rate * gap)
    return rowf[base]
