# mypy: disable-error-code="no-any-return"
# Elements of arrays are Any to mypy; numba infers every type.
"""The memory of an entity's newest matured verdicts, oldest first, and the run of frauds at its end. Compiled.

Two words come before the entries: how many there are, and when the newest legitimate one matured that there was no room
for (0: none). An entry is (matured at, legitimate, frauds, then the bits of carried values), one for all verdicts that
matured in the same microsecond: corrections add up to the same entry in any order.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from model.jit import jit
from model.pending import FRAUDS, MATURES, VERDICTS

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
_LEGITIMATE, _FRAUDS, _VALUES = 1, 2, 3


@jit
def note(row: Ints, rowf: Floats, base: int, last: int, verdict: Ints, values: Floats) -> None:
    """Add a verdict (an entry of `model.pending`, whose carried values are `values`) to a memory of `last` entries."""
    stride = _VALUES + len(values)
    matures, frauds = verdict[MATURES], verdict[FRAUDS]
    legitimate = verdict[VERDICTS] - frauds
    first = base + 2
    at = first + (row[base] - 1) * stride
    while at >= first and row[at] > matures:
        at -= stride
    if at >= first and row[at] == matures:
        row[at + _LEGITIMATE] += legitimate
        row[at + _FRAUDS] += frauds
        for k in range(len(values)):
            rowf[at + _VALUES + k] = _least(rowf[at + _VALUES + k], values[k])
        return
    if row[base] == last:
        if at < first:
            if legitimate > 0:
                row[base + 1] = max(row[base + 1], matures)
            return
        _drop_oldest(row, base, at, stride)
    else:
        at += stride
        for k in range(first + row[base] * stride - 1, at - 1, -1):
            row[k + stride] = row[k]
        row[base] += 1
    row[at], row[at + _LEGITIMATE], row[at + _FRAUDS] = matures, legitimate, frauds
    for k in range(len(values)):
        rowf[at + _VALUES + k] = values[k]


@jit
def _drop_oldest(row: Ints, base: int, until: int, stride: int) -> None:
    """Move the entries after the oldest, up to the one at `until`, one place down."""
    first = base + 2
    if row[first + _LEGITIMATE] > 0:
        row[base + 1] = max(row[base + 1], row[first])
    for k in range(first, until):
        row[k] = row[k + stride]


@jit
def _least(a: float, b: float) -> float:
    """The smaller of two numbers that are there."""
    return b if math.isnan(a) or b < a else a


@jit
def run(row: Ints, rowf: Floats, base: int, values: int, time: int, scratch: Floats) -> None:
    """Length and age (s) of the run of frauds that matured by `time`, seconds since a legitimate one did, least values.

    They fill `scratch` f8[3 + values].
    """
    stride = _VALUES + values
    count, since = 0, row[base + 1]
    scratch[1] = np.nan
    scratch[3:3 + values] = np.nan
    for k in range(row[base] - 1, -1, -1):
        at = base + 2 + k * stride
        if row[at] > time:
            continue
        if row[at + _LEGITIMATE] > 0:
            since = row[at]
            break
        if row[at + _FRAUDS] > 0:
            count += row[at + _FRAUDS]
            scratch[1] = (time - row[at]) / 1e6
            for j in range(values):
                scratch[3 + j] = _least(scratch[3 + j], rowf[at + _VALUES + j])
    scratch[0] = float(count)
    scratch[2] = (time - since) / 1e6 if 0 < since <= time else np.nan
