# mypy: disable-error-code="no-any-return"
# Elements of arrays are Any to mypy; numba infers every type.
"""The arithmetic of one state row: windows, levels, sums. Compiled; called by `operator` for each
transaction.

A pane's first word packs its number (time // width) and its count, `number << 32 | count`; a slot
whose number is too old simply does not count (lazy expiry). The first words of all slots come
first, then all second words, and so on. Amounts are integers, so that the order inside a pane
cannot change a bit. `scratch` carries count, sum and sum of squares (or median and spread) from a
scan to the outputs after it.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from model.jit import jit

Row = NDArray[np.int64]
Floats = NDArray[np.float64]

_COUNT = 0xFFFFFFFF
_LIMIT = 3.0e9
_DAY, _HOUR = 86_400_000_000, 3_600_000_000


@jit
def slot_of(row: Row, base: int, slots: int, words: int, pane: int) -> int:
    """The slot of pane number `pane`, emptied if it held an older one; -1 when it holds a newer
    one.
    """
    at = base + pane % slots
    held = row[at] >> 32
    if held > pane:
        return -1
    if held < pane:
        row[at] = pane << 32
        for k in range(1, words):
            row[at + k * slots] = 0
    return at


@jit
def window_add(row: Row, at: int, slots: int, words: int, value: float, scale: float) -> None:
    """Add one value to the pane at `at`."""
    row[at] += 1
    if words > 1:
        fixed = np.int64(np.rint(min(max(value * scale, -_LIMIT), _LIMIT)))
        row[at + slots] += fixed
        if words > 2:
            square = fixed * fixed
            row[at + 2 * slots] += square >> 32
            row[at + 3 * slots] += square & _COUNT


@jit
def _total(row: Row, base: int, slots: int, word: int, pane: int, reach: int) -> int:
    """Sum of one word over the `reach` panes that end with number `pane`; no branch, so that it
    becomes vectors.
    """
    total, panes, words = (
        0,
        row[base : base + slots],
        row[base + word * slots : base + (word + 1) * slots],
    )
    for k in range(len(panes)):
        number = panes[k] >> 32
        total += words[k] if (number <= pane) & (number > pane - reach) else 0
    return total


@jit
def window_total(
    row: Row, base: int, slots: int, words: int, pane: int, reach: int, scratch: Floats
) -> None:
    """Total the `reach` panes that end with number `pane`."""
    scratch[0] = _total(row, base, slots, 0, pane, reach) & _COUNT
    if words > 1:
        scratch[1] = _total(row, base, slots, 1, pane, reach)
    if words > 2:
        high, low = (
            _total(row, base, slots, 2, pane, reach),
            _total(row, base, slots, 3, pane, reach),
        )
        scratch[2] = float(high) * 4294967296.0 + float(low)


@jit
def verdict_add(
    row: Row, base: int, slots: int, width: int, matures: int, verdicts: int, frauds: int
) -> None:
    """Fold a verdict that counts from `matures` on."""
    at = slot_of(row, base, slots, 3, matures // width)
    if at >= 0:
        row[at] += verdicts
        row[at + slots] += frauds
        row[at + 2 * slots] = max(row[at + 2 * slots], matures)


@jit
def verdict_total(
    row: Row, base: int, slots: int, width: int, reach: int, time: int, scratch: Floats
) -> None:
    """Total the verdicts that matured by `time` in `reach` panes.

    A pane that holds a verdict matured later is left out rather than peeked into.
    """
    newest, count, frauds = time // width, 0, 0
    words = row[base : base + 3 * slots]
    for k in range(slots):
        number = words[k] >> 32
        counts = (number <= newest) & (number > newest - reach) & (words[k + 2 * slots] <= time)
        count += words[k] & _COUNT if counts else 0
        frauds += words[k + slots] if counts else 0
    scratch[0], scratch[1] = float(count), float(max(frauds, 0))


@jit
def verdict_decay(
    row: Row, base: int, slots: int, width: int, reach: int, kept: float, time: int, scratch: Floats
) -> None:
    """The same, newest pane first, where each pane weighs `kept` of the one after it."""
    newest = time // width
    count, frauds, weight = 0.0, 0.0, 1.0
    slot = newest % slots
    for number in range(newest, newest - reach, -1):
        at = base + slot
        if row[at] >> 32 == number and row[at + 2 * slots] <= time:
            count += weight * float(row[at] & _COUNT)
            frauds += weight * float(row[at + slots])
        weight *= kept
        slot = slot - 1 if slot > 0 else slots - 1
    scratch[0], scratch[1] = count, max(frauds, 0.0)


@jit
def distinct(row: Row, base: int, keep: int, window: int, time: int, value: int) -> float:
    """Note `value` (0: missing) in a ring of (hash, time), and count those seen in the window that
    ends at `time`.
    """
    found, oldest = -1, base
    for k in range(keep):
        at = base + 2 * k
        if row[at] == value:
            found = at
        if row[at + 1] < row[oldest + 1]:
            oldest = at
    if value != 0 and found >= 0:
        row[found + 1] = max(row[found + 1], time + 1)
    elif value != 0 and row[oldest + 1] < time + 1:
        row[oldest], row[oldest + 1] = value, time + 1
    seen = 0
    for k in range(keep):
        if time - window < row[base + 2 * k + 1] <= time + 1:
            seen += 1
    return float(seen)


@jit
def _replace(values: Floats, old: float, new: float) -> None:
    """Put one value into sorted `values` in the place of another."""
    at = 0
    while values[at] < old:
        at += 1
    while at + 1 < len(values) and values[at + 1] < new:
        values[at] = values[at + 1]
        at += 1
    while at > 0 and values[at - 1] > new:
        values[at] = values[at - 1]
        at -= 1
    values[at] = new


@jit
def _median_distance(values: Floats, middle: float) -> float:
    """The median distance of sorted values from their median: they are taken from its neighbours
    outwards.
    """
    n = len(values)
    high = n // 2
    low, nearer, distance = high - 1, 0.0, 0.0
    for _ in range(n // 2 + 1):
        nearer = distance
        if high >= n or (low >= 0 and middle - values[low] < values[high] - middle):
            distance = middle - values[low]
            low -= 1
        else:
            distance = values[high] - middle
            high += 1
    return distance if n % 2 else (nearer + distance) / 2


@jit
def level(row: Row, rowf: Floats, base: int, keep: int, value: float, scratch: Floats) -> None:
    """Median and median absolute deviation (scaled to a deviation) of the last `keep` values; then
    note `value`.

    The values lie there twice: in their order, and sorted.
    """
    n, newest, ordered = min(row[base], keep), base + 1 + row[base] % keep, base + 1 + keep
    scratch[0], scratch[1] = np.nan, np.nan
    if n >= 3:
        values = rowf[ordered : ordered + n]
        middle = (values[(n - 1) // 2] + values[n // 2]) / 2
        scratch[0], scratch[1] = middle, 1.4826 * _median_distance(values, middle)
    if not np.isnan(value):
        if n < keep:
            rowf[newest], rowf[ordered + n] = np.inf, np.inf
        _replace(rowf[ordered : ordered + min(n + 1, keep)], rowf[newest], value)
        rowf[newest] = value
        row[base] += 1


@jit
def recent(
    row: Row, rowf: Floats, base: int, keep: int, value: float, regs: Floats, dst: int
) -> None:
    """Notes `value`; the newest `keep` values, newest first, go to the registers from `dst` on; NaN
    where none is.
    """
    rowf[base + 1 + row[base] % keep] = value
    row[base] += 1
    for k in range(keep):
        regs[dst + k] = rowf[base + 1 + (row[base] - 1 - k) % keep] if k < row[base] else np.nan


@jit
def decay(row: Row, rowf: Floats, base: int, time: int, value: float, rate: float) -> float:
    """The decayed sum as of the later of `time` and the newest event; a late value is decayed
    before it is added.
    """
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


@jit
def since(row: Row, at: int, time: int) -> float:
    """Seconds since the newest event, which is noted."""
    last = row[at]
    row[at] = max(last, time + 1)
    return np.nan if last == 0 else max(time + 1 - last, 0) / 1e6


@jit
def calendar(part: int, time: int) -> float:
    """hour_sin, hour_cos, weekday (Monday 0), is_weekend, is_night (before 7 h), by number; UTC."""
    angle = (time % _DAY) / _DAY * 2 * math.pi
    if part == 0:
        return math.sin(angle)
    if part == 1:
        return math.cos(angle)
    weekday = (time // _DAY + 3) % 7
    if part == 2:
        return float(weekday)
    if part == 3:
        return 1.0 if weekday >= 5 else 0.0
    return 1.0 if (time % _DAY) // _HOUR < 7 else 0.0
