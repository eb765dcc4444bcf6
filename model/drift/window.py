"""The newest rows of a stream, each kept as the bins that its columns lie in.

A state holds the last `ROWS` rows of a partition, as far as they lie in the last `REACH` messages:
so it depends on no message before those, and not on how the log is cut into blocks or batches.
Where several bundles score, in a promotion or beside a canary, each is counted for itself.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from model.detectors.base import Array
from model.drift.reference import BINS, Counts, Grid, counted
from tidegate.errors import ConfigError
from tidegate.stream.stage import Arrays

ROWS = 2048
"""The PSI of n rows that have not moved is about 9 / n in ten bins."""
REACH = 4096
"""Messages: as many rows when each comes alone, with the marker of its transaction behind it."""
_UNKNOWN = BINS
"""The bin of rows whose bundle has no grid: they take a place, and are not counted."""


class ScoredColumns(NamedTuple):
    """Scored rows of one partition: messages i8[n] (their offsets), bundles S16[n], columns
    f8[n, columns].
    """

    messages: NDArray[np.int64]
    bundles: NDArray[np.bytes_]
    x: Array


class WindowState:
    """A `State` of the stream: messages i8[n], bundles S16[n] and bins u1[n, columns] of the newest
    rows.
    """

    def __init__(self, columns: int) -> None:
        self._columns = columns
        self._rows = _Rows(
            np.empty(0, np.int64), np.empty(0, "S16"), np.empty((0, columns), np.uint8)
        )
        self._before: _Rows | None = None

    @property
    def bundle(self) -> bytes:
        """The bundle that scored most of these rows, whose drift is told; empty without rows."""
        known = self._rows.bundles[self._rows.bins[:, 0] != _UNKNOWN]
        names, rows = np.unique(known, return_counts=True)
        return max(zip(rows.tolist(), names.tolist(), strict=True), default=(0, b""))[1]

    def counts(self, bundle: bytes) -> Counts:
        """How many of the rows that a bundle scored are in each bin, i8[columns, BINS]."""
        own = self._rows.bundles == bundle
        return counted(self._rows.bins[own & (self._rows.bins[:, 0] != _UNKNOWN)])

    def begin(self) -> None:
        if self._before is not None:
            raise RuntimeError("begin on top of an open begin")
        self._before = self._rows

    def rollback(self) -> None:
        if self._before is None:
            raise RuntimeError("rollback without begin")
        self._rows, self._before = self._before, None

    def commit(self) -> None:
        self._before = None

    def arrays(self) -> Arrays:
        return dict(self._rows._asdict())

    def load(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Take over what `arrays` gave. Raises ConfigError."""
        try:
            messages = arrays["messages"].astype(np.int64)
            bins = arrays["bins"].astype(np.uint8).reshape(len(messages), self._columns)
            bundles = arrays["bundles"].astype("S16").reshape(len(messages))
        except (KeyError, ValueError, TypeError) as error:
            raise ConfigError(
                f"the drift's snapshot does not fit ({error}): delete it, it is rebuilt"
            ) from error
        self._rows = _Rows(messages, bundles, bins)

    def digest(self) -> str:
        content = b"".join(
            array.astype(array.dtype.newbyteorder("<")).tobytes()
            for array in self.arrays().values()
        )
        return hashlib.sha256(content).hexdigest()

    def add(
        self,
        messages: NDArray[np.int64],
        bundles: NDArray[np.bytes_],
        bins: NDArray[np.uint8],
        most: int = ROWS,
    ) -> None:
        """Take newer rows, and forget those that are too old now."""
        messages = np.concatenate([self._rows.messages, messages])
        first = np.searchsorted(messages, messages[-1] - REACH, side="right")
        keep = slice(max(int(first), len(messages) - most), None)
        self._rows = _Rows(
            messages[keep],
            np.concatenate([self._rows.bundles, bundles])[keep],
            np.concatenate([self._rows.bins, bins])[keep],
        )


class _Rows(NamedTuple):
    messages: NDArray[np.int64]
    bundles: NDArray[np.bytes_]
    bins: NDArray[np.uint8]


def rows_of(counts: Counts) -> int:
    """How many rows were counted in counts i8[..., columns, BINS]."""
    return int(counts[..., 0, :].sum())


def fold(
    state: WindowState,
    rows: ScoredColumns,
    grid_of: Callable[[bytes], Grid | None],
    most: int = ROWS,
) -> None:
    """Count rows; of those of a bundle without a grid only their place."""
    newest = ScoredColumns(rows.messages[-most:], rows.bundles[-most:], rows.x[-most:])
    bins = np.full(newest.x.shape, _UNKNOWN, np.uint8)
    for start, stop in _runs(newest.bundles):
        if (grid := grid_of(bytes(newest.bundles[start]))) is not None:
            bins[start:stop] = grid.bins(newest.x[start:stop])
    state.add(newest.messages, newest.bundles, bins, most)


def _runs(column: NDArray[Any]) -> Iterator[tuple[int, int]]:
    """Where runs of equal values start and stop."""
    changes = np.flatnonzero(column[1:] != column[:-1]) + 1
    return pairwise([0, *changes.tolist(), len(column)])
