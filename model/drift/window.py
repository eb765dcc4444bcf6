"""The newest rows of a stream, counted in the bins of the bundle that scored them.

A partition's offsets are cut into blocks of `WINDOW`. A state holds the counts of the block that is
being filled and of the one before, so the figures rest on between one and two blocks. The state
depends on no row before those two, and not on how the log is cut into batches. Where several
bundles score, in a promotion or beside a canary, each has counts of its own.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from model.detectors.base import Array
from model.drift.reference import BINS, Counts, Grid
from tidegate.errors import ConfigError
from tidegate.stream.stage import Arrays

WINDOW = 1024
"""Offsets of a block. The PSI of n rows that have not moved is about 9 / n in ten bins."""


class ScoredColumns(NamedTuple):
    """Scored rows of one partition: offsets i8[n], bundles S16[n], columns f8[n, columns]."""

    offsets: NDArray[np.int64]
    bundles: NDArray[np.bytes_]
    x: Array


class WindowState:
    """A `State` of the stream: each bundle's counts i8[2, columns, BINS] of the last two blocks."""

    def __init__(self, columns: int) -> None:
        self._shape = 2, columns, BINS
        self.block = -1
        self.counts: dict[bytes, Counts] = {}
        self._before: tuple[int, dict[bytes, Counts]] | None = None

    @property
    def bundle(self) -> bytes:
        """The bundle that scored most of these rows, whose drift is told; empty without rows."""
        return max(self.counts, key=lambda name: (rows_of(self.counts[name]), name), default=b"")

    def begin(self) -> None:
        if self._before is not None:
            raise RuntimeError("begin on top of an open begin")
        self._before = self.block, {name: counts.copy() for name, counts in self.counts.items()}

    def rollback(self) -> None:
        if self._before is None:
            raise RuntimeError("rollback without begin")
        self.block, self.counts = self._before
        self._before = None

    def commit(self) -> None:
        self._before = None

    def arrays(self) -> Arrays:
        names = sorted(self.counts)
        counts = np.array([self.counts[name] for name in names], np.int64).reshape(-1, *self._shape)
        return {
            "bundles": np.array(names, "S16"),
            "counts": counts,
            "block": np.array([self.block], np.int64),
        }

    def load(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Take over what `arrays` gave. Raises ConfigError."""
        try:
            counts = arrays["counts"].astype(np.int64).reshape(-1, *self._shape)
            self.counts = dict(zip(arrays["bundles"].astype("S16").tolist(), counts, strict=True))
            (self.block,) = arrays["block"].tolist()
        except (KeyError, ValueError, TypeError) as error:
            raise ConfigError(
                f"the drift's snapshot does not fit ({error}): delete it, it is rebuilt"
            ) from error

    def digest(self) -> str:
        content = b"".join(
            array.astype(array.dtype.newbyteorder("<")).tobytes()
            for array in self.arrays().values()
        )
        return hashlib.sha256(content).hexdigest()

    def advance(self, block: int) -> None:
        """Fill this block from now on, the one that is being filled or a later one."""
        if block != self.block:
            self.counts = {
                name: np.stack([old[1], np.zeros_like(old[1])])
                for name, old in self.counts.items()
                if block == self.block + 1 and old[1].any()
            }
            self.block = block

    def add(self, bundle: bytes, counts: Counts) -> None:
        """Count rows of this block."""
        self.counts.setdefault(bundle, np.zeros(self._shape, np.int64))[1] += counts


def rows_of(counts: Counts) -> int:
    """How many rows were counted in counts i8[..., columns, BINS]."""
    return int(counts[..., 0, :].sum())


def reached(offsets: NDArray[np.int64], window: int = WINDOW) -> int:
    """The index of the first of these ascending offsets that the state after them depends on."""
    return int(np.searchsorted(offsets, (offsets[-1] // window - 1) * window))


def fold(
    state: WindowState,
    rows: ScoredColumns,
    grid_of: Callable[[bytes], Grid | None],
    window: int = WINDOW,
) -> None:
    """Count rows. Those of a bundle without a grid are passed over."""
    blocks = rows.offsets // window
    for start, stop in _runs(blocks, rows.bundles):
        state.advance(int(blocks[start]))
        bundle = bytes(rows.bundles[start])
        if (grid := grid_of(bundle)) is not None:
            state.add(bundle, grid.count(rows.x[start:stop]))


def _runs(*columns: NDArray[Any]) -> Iterator[tuple[int, int]]:
    """Where runs of rows that are equal in all columns start and stop."""
    changes = np.logical_or.reduce([column[1:] != column[:-1] for column in columns])
    return pairwise([0, *(np.flatnonzero(changes) + 1).tolist(), len(columns[0])])
