"""How often each of many hashes has come, in 12 bytes for each different one."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Hashes = NDArray[np.uint64]

RUN = 1 << 20
"""Runs of so many hashes are not merged any more, so that merging takes little memory."""


class _Run(NamedTuple):
    """Sorted hashes, and how often each has come."""

    hashes: Hashes
    counts: NDArray[np.uint32]


class Occurrences:
    """Counts hashes of 64 bits in sorted runs, each at least twice as long as the next.

    24 million different ones take 290 MB.
    """

    def __init__(self) -> None:
        self._runs: list[_Run] = []

    def count(self, hashes: Hashes) -> NDArray[np.int64]:
        """Which occurrence each is, from 1 on: i8[n] for u8[n]."""
        if not len(hashes):
            return np.empty(0, np.int64)
        order = np.argsort(hashes, kind="stable")
        ordered = hashes[order]
        starts = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
        times = np.diff(np.append(starts, len(hashes)))
        before = self._add(ordered[starts], times)
        numbers = np.empty(len(hashes), np.int64)
        numbers[order] = np.arange(len(hashes)) - np.repeat(starts - before, times) + 1
        return numbers

    def _add(self, hashes: Hashes, times: NDArray[np.int64]) -> NDArray[np.int64]:
        """Count sorted, different hashes so many times more; how often each had come before."""
        before = np.zeros(len(hashes), np.int64)
        new = np.ones(len(hashes), bool)
        for run in self._runs:
            places = np.minimum(np.searchsorted(run.hashes, hashes), len(run.hashes) - 1)
            here = run.hashes[places] == hashes
            before[here] = run.counts[places[here]]
            run.counts[places[here]] += times[here].astype(np.uint32)
            new &= ~here
        if new.any():
            self._runs.append(_Run(hashes[new], times[new].astype(np.uint32)))
            self._merge()
        return before

    def _merge(self) -> None:
        runs = self._runs
        while len(runs) > 1 and len(runs[-2].hashes) < min(2 * len(runs[-1].hashes), RUN):
            second, first = runs.pop(), runs.pop()
            hashes = np.concatenate([first.hashes, second.hashes])
            order = np.argsort(hashes)
            runs.append(_Run(hashes[order], np.concatenate([first.counts, second.counts])[order]))
