# mypy: disable-error-code="no-any-return"
# Elements of arrays are Any to mypy; numba infers every type.
"""Rows at rest: what of a row is in use, in as few words as it takes. Compiled.

A packed row is its key, its newest event time, the ingest time when it was touched last, a word of
its generation and size, and how many entries each section has, in 16 bits each; then the entries:

    RING      a pane in use: age (16 bits) | slot (8) | count (8) | sum (32), and if there are
              squares, a word for them; the age is the number of panes before the newest event's
    VERDICTS  the same with frauds in place of the sum, and when the newest one matured
    WIDE      the words of a pane in use, as they are, after its slot
    PAIRS     a pair in use: its hash, and place (16 bits) | age in us (48)
    LEVEL     how many values there were, and the last ones; their order is made again
    PLAIN     words as they are, up to the last that is not 0

A pane whose numbers are too large for its fields has the age `_RAW` and its slot, and all of its
words follow.
What no event later than the row's floor can see (`model.features.windows`) counts no more, and is
left out. So equal rows give equal words, whenever they were packed before.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from model.features.program import FLOOR, GENERATION, KEY, LATE_US, NEWEST, TOUCHED
from model.jit import inlined, jit

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

RING, VERDICTS, WIDE, PAIRS, LEVEL, PLAIN = range(6)
"""Kinds of sections. A section is (kind, base, slots or entries or words, words of each, pane or
window in us)."""
SIZE, COUNTS = 3, 4
"""Words of a packed row: generation << 32 | its words, and the first of the sections' counts."""
_SIZE_MASK, _LOW, _SHORT, _BYTE = 0xFFFFFFFF, 0xFFFFFFFF, 0xFFFF, 0xFF
_RAW = 0xFFFF
_NARROW = 1 << 31
_AGE_BITS, _SLOT_BITS, _AGE = 48, 40, (1 << 48) - 1


def most_words(sections: Ints) -> int:
    """Words of a packed row in which everything is in use, and large."""
    entry = {VERDICTS: 4, PAIRS: 2, LEVEL: 1, PLAIN: 1}
    words = COUNTS + _count_words(len(sections))
    for kind, _, n, pane_words, _ in sections.tolist():
        words += n * entry.get(kind, pane_words + 1) + (kind == LEVEL)
    return int(words)


@jit
def _count_words(sections: int) -> int:
    return (sections + 3) >> 2


@jit
def size_of(arena: Ints, at: int) -> int:
    """Words of the packed row at `at`."""
    return arena[at + SIZE] & _SIZE_MASK


@inlined
def _used(row: Ints, base: int, n: int, oldest: int, used: Ints) -> int:
    """Write which panes are in use; how many. There is no branch in it: none could be foreseen."""
    count = 0
    for k in range(n):
        first = row[base + k]
        used[count] = k
        count += (first != 0) & ((first >> 32) >= oldest)
    return count


@inlined
def _pack_panes(
    row: Ints, kind: int, base: int, n: int, words: int, pane: int, used: Ints, out: Ints, at: int
) -> tuple[int, int]:
    """Returns how many panes are in use, and where they end in `out`.

    The number of a time's pane may come out 1 too high here, for it is divided as a float: so one
    pane more is kept.
    """
    newest, oldest = int(row[NEWEST] / pane), int(row[FLOOR] / pane) - n - 2
    count = _used(row, base, n, oldest, used)
    for j in range(count):
        place = base + used[j]
        first, total, upper, lower = row[place], 0, 0, 0
        age = newest - (first >> 32)
        if words > 1:
            total = row[place + n]
        if words == 4:
            lower = row[place + 3 * n]
            upper, lower = row[place + 2 * n] + (lower >> 32), lower & _LOW
        narrow = (age >= 0) & (age < _RAW) & ((first & _LOW) <= _BYTE)
        narrow &= used[j] <= _BYTE
        narrow &= (total >= -_NARROW) & (total < _NARROW) & (upper >= 0) & (upper < _NARROW)
        if narrow and kind != WIDE:
            entry = age << _AGE_BITS | used[j] << _SLOT_BITS
            out[at] = entry | (first & _BYTE) << 32 | (total & _LOW)
            at += 1
            if words == 4:
                out[at] = upper << 32 | lower
                at += 1
            elif kind == VERDICTS:
                out[at] = row[place + 2 * n]
                at += 1
        else:
            out[at] = _RAW << _AGE_BITS | used[j]
            for k in range(words):
                out[at + 1 + k] = row[place + k * n]
            if words == 4:
                out[at + 3], out[at + 4] = upper, lower
            at += 1 + words
    return count, at


@inlined
def _pack_pairs(row: Ints, base: int, n: int, window: int, out: Ints, at: int) -> tuple[int, int]:
    count, floor = 0, max(row[FLOOR] - window, 0)
    for k in range(n):
        seen = row[base + 2 * k + 1]
        if seen > floor:
            out[at] = row[base + 2 * k]
            out[at + 1] = k << _AGE_BITS | (row[NEWEST] + 1 - seen)
            count += 1
            at += 2
    return count, at


@inlined
def _pack_words(row: Ints, kind: int, base: int, n: int, out: Ints, at: int) -> int:
    """Returns how many words are in use."""
    count = n
    if kind == LEVEL:
        count = 1 + min(row[base], n) if row[base] > 0 else 0
    else:
        while count > 0 and row[base + count - 1] == 0:
            count -= 1
    for k in range(count):
        out[at + k] = row[base + k]
    return count


@jit
def pack(row: Ints, sections: Ints, used: Ints, out: Ints) -> int:
    """Write a row to `out`, which has `most_words`; returns how many words it takes.

    `used` is room to work in, for as many numbers as a ring has slots.
    """
    at = COUNTS + _count_words(len(sections))
    for k in range(COUNTS, at):
        out[k] = 0
    for s in range(len(sections)):
        kind, base, n, words = sections[s, 0], sections[s, 1], sections[s, 2], sections[s, 3]
        if kind <= WIDE:
            count, at = _pack_panes(row, kind, base, n, words, sections[s, 4], used, out, at)
        elif kind == PAIRS:
            count, at = _pack_pairs(row, base, n, sections[s, 4], out, at)
        else:
            count = _pack_words(row, kind, base, n, out, at)
            at += count
        out[COUNTS + (s >> 2)] |= count << 16 * (s & 3)
    out[KEY], out[NEWEST], out[TOUCHED] = row[KEY], row[NEWEST], row[TOUCHED]
    out[SIZE] = row[GENERATION] << 32 | at
    return at


@inlined
def _unpack_panes(
    row: Ints,
    kind: int,
    base: int,
    n: int,
    words: int,
    pane: int,
    count: int,
    packed: Ints,
    at: int,
) -> int:
    """Returns where they end in `packed`."""
    newest = int(row[NEWEST] / pane)
    for _ in range(count):
        first = packed[at]
        age = first >> _AGE_BITS & _SHORT
        if age == _RAW:
            place = base + (first & _LOW)
            for k in range(words):
                row[place + k * n] = packed[at + 1 + k]
            at += 1 + words
            continue
        place = base + (first >> _SLOT_BITS & _BYTE)
        row[place] = (newest - age) << 32 | (first >> 32 & _BYTE)
        at += 1
        if words > 1:
            row[place + n] = (first & _LOW ^ _NARROW) - _NARROW
        if words == 4:
            row[place + 2 * n], row[place + 3 * n] = packed[at] >> 32, packed[at] & _LOW
            at += 1
        elif kind == VERDICTS:
            row[place + 2 * n] = packed[at]
            at += 1
    return at


@inlined
def _unpack_level(
    row: Ints, rowf: Floats, base: int, keep: int, count: int, packed: Ints, at: int
) -> None:
    """The values come back as they are, and once more in order."""
    ordered = base + 1 + keep
    for k in range(count):
        row[base + k] = packed[at + k]
    for k in range(count - 1):
        value, place = rowf[base + 1 + k], ordered + k
        while place > ordered and rowf[place - 1] > value:
            rowf[place] = rowf[place - 1]
            place -= 1
        rowf[place] = value


@jit
def unpack(packed: Ints, at: int, sections: Ints, row: Ints, rowf: Floats) -> None:
    """Make a row of the packed one at `at` again."""
    for k in range(len(row)):
        row[k] = 0
    row[KEY], row[NEWEST], row[TOUCHED] = packed[at], packed[at + NEWEST], packed[at + TOUCHED]
    row[GENERATION], row[FLOOR] = packed[at + SIZE] >> 32, packed[at + NEWEST] - LATE_US
    counts = at + COUNTS
    at = counts + _count_words(len(sections))
    for s in range(len(sections)):
        kind, base, n, words = sections[s, 0], sections[s, 1], sections[s, 2], sections[s, 3]
        count = packed[counts + (s >> 2)] >> 16 * (s & 3) & _SHORT
        if kind <= WIDE:
            pane = sections[s, 4]
            at = _unpack_panes(row, kind, base, n, words, pane, count, packed, at)
        elif kind == PAIRS:
            for _ in range(count):
                place = base + 2 * (packed[at + 1] >> _AGE_BITS)
                row[place], row[place + 1] = packed[at], row[NEWEST] + 1 - (packed[at + 1] & _AGE)
                at += 2
        elif kind == LEVEL:
            _unpack_level(row, rowf, base, n, count, packed, at)
            at += count
        else:
            for k in range(count):
                row[base + k] = packed[at + k]
            at += count
