# mypy: disable-error-code="no-any-return"
# Elements of arrays are Any to mypy; numba infers every type.
"""The memory of an entity's newest matured verdicts, and the run of frauds at its end. Compiled.

It is a ring of entries in the order in which they matured, after three words: how many entries
there are, when the newest legitimate one matured that there was no room for (0: none), and the
number of the oldest. An entry is (matured at, legitimate, frauds, then the bits of carried values),
one for all verdicts that matured in the same microsecond: corrections add up to the same entry in
any order.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from model.features.pending import FRAUDS, MATURES, VERDICTS
from model.jit import jit

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
HEAD = 3
"""Words before the entries."""
_N, _LOST, _OLDEST = range(HEAD)
_LEGITIMATE, _FRAUDS, _VALUES = 1, 2, 3


@jit
def _place(row: Ints, base: int, last: int, stride: int, k: int) -> int:
    """The place of entry `k`, counted from the oldest."""
    number = row[base + _OLDEST] + k
    return base + HEAD + (number if number < last else number - last) * stride


@jit
def note(row: Ints, rowf: Floats, base: int, last: int, verdict: Ints, values: Floats) -> None:
    """Add a verdict, an entry of `pending` with its carried values, to a memory of `last`."""
    stride = _VALUES + len(values)
    matures, frauds = verdict[MATURES], verdict[FRAUDS]
    legitimate = verdict[VERDICTS] - frauds
    before = row[base + _N] - 1
    while before >= 0 and row[_place(row, base, last, stride, before)] > matures:
        before -= 1
    entry = _place(row, base, last, stride, max(before, 0))
    if before >= 0 and row[entry] == matures:
        row[entry + _LEGITIMATE] += legitimate
        row[entry + _FRAUDS] += frauds
        for k in range(len(values)):
            rowf[entry + _VALUES + k] = _least(rowf[entry + _VALUES + k], values[k])
        return
    if row[base + _N] == last and before < 0:
        if legitimate > 0:
            row[base + _LOST] = max(row[base + _LOST], matures)
        return
    entry = _place(row, base, last, stride, _make_room(row, base, last, stride, before))
    row[entry], row[entry + _LEGITIMATE], row[entry + _FRAUDS] = matures, legitimate, frauds
    for k in range(len(values)):
        rowf[entry + _VALUES + k] = values[k]


@jit
def _make_room(row: Ints, base: int, last: int, stride: int, before: int) -> int:
    """Free the entry right after number `before` and return its number.

    Where all are taken, the oldest is dropped.
    """
    number = before + 1
    if row[base + _N] < last:
        row[base + _N] += 1
    else:
        oldest = _place(row, base, last, stride, 0)
        if row[oldest + _LEGITIMATE] > 0:
            row[base + _LOST] = max(row[base + _LOST], row[oldest])
        row[base + _OLDEST] = (row[base + _OLDEST] + 1) % last
        number = before
    for k in range(row[base + _N] - 1, number, -1):
        to, source = _place(row, base, last, stride, k), _place(row, base, last, stride, k - 1)
        for word in range(stride):
            row[to + word] = row[source + word]
    return number


@jit
def _least(a: float, b: float) -> float:
    """The smaller of two numbers, or the one that is not missing."""
    return b if math.isnan(a) or b < a else a


@jit
def run(
    row: Ints, rowf: Floats, base: int, last: int, values: int, time: int, scratch: Floats
) -> None:
    """Write what is known of the run of frauds by `time` into `scratch` f8[3 + values].

    That is its length, its age (s), the seconds since a legitimate verdict matured, and the least
    of each carried value.
    """
    stride = _VALUES + values
    count, since = 0, row[base + _LOST]
    scratch[1] = np.nan
    for k in range(3, 3 + values):
        scratch[k] = np.nan
    for k in range(row[base + _N] - 1, -1, -1):
        entry = _place(row, base, last, stride, k)
        if row[entry] > time:
            continue
        if row[entry + _LEGITIMATE] > 0:
            since = row[entry]
            break
        if row[entry + _FRAUDS] > 0:
            count += row[entry + _FRAUDS]
            scratch[1] = (time - row[entry]) / 1e6
            for j in range(values):
                scratch[3 + j] = _least(scratch[3 + j], rowf[entry + _VALUES + j])
    scratch[0] = float(count)
    scratch[2] = (time - since) / 1e6 if 0 < since <= time else np.nan
