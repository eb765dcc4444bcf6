# mypy: disable-error-code="no-any-return"
# Elements of arrays are Any to mypy; numba infers every type.
"""Windows over amounts that may be too large for the panes of `model.features.windows`. Compiled.

A pane is as it is there, but for more words: its count, the sum in two words (the second holds the
lower 32 bits of each amount) and, if a deviation is wanted, the sum of squares in three (their bits
from 64 on, 32 to 63, and 0 to 31). The words are plain sums, so that neither the order inside a
pane nor that of panes can change a bit.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from model.features import exact
from model.features.exact import MASK
from model.features.windows import OWN, slot_of, total_of
from model.jit import jit

Row = NDArray[np.int64]
Floats = NDArray[np.float64]

_LIMIT = 1.0e17
SUM_WORDS, SQUARE_WORDS = 3, 6
"""Words of a pane that keeps sums, and of one that keeps squares as well."""


@jit
def _add(row: Row, place: int, slots: int, words: int, fixed: int) -> None:
    row[place] += 1
    row[place + slots] += fixed >> 32
    row[place + 2 * slots] += fixed & MASK
    if words == SQUARE_WORDS:
        high, low = exact.product(fixed, fixed)
        row[place + 3 * slots] += high
        row[place + 4 * slots] += (low >> 32) & MASK
        row[place + 5 * slots] += low & MASK


@jit
def note(
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
    """As `windows.window_note`."""
    own = len(scratch) - OWN
    scratch[own] = scratch[own + 1] = 0.0
    if math.isnan(value):
        return
    fixed = exact.whole(min(max(value * scale, -_LIMIT), _LIMIT))
    place = slot_of(row, base, slots, words, pane, oldest)
    if place >= 0:
        _add(row, place, slots, words, fixed)
    else:
        scratch[own], scratch[own + 1] = 1.0, float(fixed)


@jit
def total(
    row: Row, base: int, slots: int, words: int, pane: int, before: int, scratch: Floats
) -> None:
    """As `windows.window_total`, after `note`."""
    own = len(scratch) - OWN
    n = exact.whole(scratch[own]) + (total_of(row, base, slots, 0, pane, before) & MASK)
    late = exact.whole(scratch[own + 1])
    upper = total_of(row, base, slots, 1, pane, before)
    high, low = exact.joined(upper, total_of(row, base, slots, 2, pane, before))
    high, low = exact.add(high, low, late >> 63, late)
    scratch[0], scratch[1] = float(n), exact.to_float(high, low)
    if words == SQUARE_WORDS and n > 0:
        top = total_of(row, base, slots, 3, pane, before)
        upper = total_of(row, base, slots, 4, pane, before)
        squares = exact.joined(upper, total_of(row, base, slots, 5, pane, before))
        squares = exact.add(*squares, *exact.product(late, late))
        scratch[2] = exact.spread(n, high, low, squares[0] + top, squares[1])
