"""ADWIN: the mean of a stream over a window that forgets what came before a change.

Bifet & Gavalda, "Learning from Time-Changing Data with Adaptive Windowing" (SDM 2007), ADWIN2: the
window is an exponential histogram - row r holds up to five buckets of 2^r values - and its oldest
buckets are dropped while some split of it into old and new has means further apart than chance
explains. Plain arrays and sums in one order, so the same stream gives the same bits.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from model.jit import jit
from tidegate.errors import ConfigError
from tidegate.stream.stage import Arrays

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
CLOCK = 32
"""Values between two looks for a change."""
_DELTA = 0.002
_ROWS, _PER_ROW = 40, 5
_FEWEST = 5
_SHAPE = (2, _ROWS, _PER_ROW + 1)


@jit
def _deviation(n: float, variance: float, width: float) -> float:
    """How far chance moves a mean of `n` values in [0, 1].

    It is Bernstein's bound at the confidence delta / ln(width).
    """
    log = math.log(2.0 * math.log(width) / _DELTA)
    return math.sqrt(2.0 / n * variance * log) + 2.0 / (3.0 * n) * log


@jit
def _totals(sums: Floats, counts: Ints) -> tuple[float, float, float]:
    """Width, mean and variance of the window."""
    n = total = squares = 0.0
    for row in range(_ROWS - 1, -1, -1):
        for column in range(counts[row]):
            n += 2.0**row
            total += sums[0, row, column]
            squares += sums[1, row, column]
    mean = total / max(n, 1.0)
    return n, mean, max(squares / max(n, 1.0) - mean * mean, 0.0)


@jit
def _insert(sums: Floats, counts: Ints, value: float) -> None:
    """The newest value; two oldest buckets of a full row become one of the next."""
    sums[0, 0, counts[0]] = value
    sums[1, 0, counts[0]] = value * value
    counts[0] += 1
    row = 0
    while counts[row] > _PER_ROW and row < _ROWS - 1:
        for kind in range(2):
            sums[kind, row + 1, counts[row + 1]] = sums[kind, row, 0] + sums[kind, row, 1]
            sums[kind, row, : _PER_ROW - 1] = sums[kind, row, 2 : _PER_ROW + 1].copy()
            sums[kind, row, _PER_ROW - 1 :] = 0.0
        counts[row] -= 2
        counts[row + 1] += 1
        row += 1


@jit
def _changed(sums: Floats, counts: Ints) -> bool:
    """Whether the means before and after some cut are further apart than chance explains."""
    n, mean, variance = _totals(sums, counts)
    old = total = 0.0
    for row in range(_ROWS - 1, -1, -1):
        for column in range(counts[row]):
            old += 2.0**row
            total += sums[0, row, column]
            new = n - old
            if old < _FEWEST or new < _FEWEST:
                continue
            apart = abs(total / old - (n * mean - total) / new)
            if apart > _deviation(1.0 / (1.0 / old + 1.0 / new), variance, n):
                return True
    return False


@jit
def _drop_oldest(sums: Floats, counts: Ints) -> None:
    row = _ROWS - 1
    while counts[row] == 0:
        row -= 1
    for kind in range(2):
        sums[kind, row, :_PER_ROW] = sums[kind, row, 1:].copy()
        sums[kind, row, _PER_ROW] = 0.0
    counts[row] -= 1


@jit
def _shrink(sums: Floats, counts: Ints) -> None:
    while _changed(sums, counts):
        _drop_oldest(sums, counts)


class Adwin:
    """The window over values in [0, 1]. `seen` counts all values, also those it has forgotten."""

    def __init__(self) -> None:
        self.seen = 0
        self._sums = np.zeros(_SHAPE)
        self._counts = np.zeros(_ROWS, np.int64)

    def add(self, value: float) -> None:
        """Take a value, and forget what came before a change."""
        self.seen += 1
        _insert(self._sums, self._counts, value)
        if self.seen % CLOCK == 0:
            _shrink(self._sums, self._counts)

    @property
    def width(self) -> int:
        """Values in the window."""
        return int(_totals(self._sums, self._counts)[0])

    @property
    def mean(self) -> float:
        """Their mean; 0 when there are none."""
        return float(_totals(self._sums, self._counts)[1])

    def bound(self) -> float:
        """How far chance may have moved the mean; 1 while there are too few values to say."""
        n, _, variance = _totals(self._sums, self._counts)
        return float(_deviation(n, variance, n)) if n > math.e else 1.0

    def copy(self) -> Adwin:
        return Adwin.load(self.arrays())

    def arrays(self) -> Arrays:
        return {"adwin_sums": self._sums.copy(), "adwin_counts": np.r_[self._counts, self.seen]}

    @classmethod
    def load(cls, arrays: Arrays) -> Adwin:
        """What `arrays` gave. Raises ConfigError, KeyError."""
        sums = arrays["adwin_sums"]
        counts = arrays["adwin_counts"]
        if sums.shape != _SHAPE or counts.shape != (_ROWS + 1,):
            raise ConfigError("a window of another size")
        window = cls()
        window._sums = sums.copy()
        window._counts = counts[:-1].copy()
        window.seen = int(counts[-1])
        return window
