"""The newest rows of a stream, counted in the bins of the bundle that scored them.

A partition's offsets are cut into blocks of `WINDOW`; a state holds the counts of the block that is being filled and of
the one before, so between one and two blocks speak. It depends on no row before those two, and not on how the log is
cut into batches.

While a promotion is under way the rows of two bundles mix. Within a block the rows of the bundle with the greatest
offset on the topic models count; rows of one that came before are passed over.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from model.detectors.base import Array
from model.drift import BINS, Counts, Grid
from tidegate.errors import ConfigError
from tidegate.stage import Arrays

WINDOW = 1024
"""Offsets of a block. The PSI of n rows that have not moved is about 9 / n in ten bins."""
_NOBODY = -2
"""Below every offset on the topic models that a row can name."""


class Rows(NamedTuple):
    """Scored rows of one partition: offsets i8[n], bundles S16[n], models offsets i8[n], columns f8[n, columns]."""

    offsets: NDArray[np.int64]
    bundles: NDArray[np.bytes_]
    models: NDArray[np.int64]
    x: Array


class WindowState:
    """A `tidegate.stage.State`: `counts` i8[2, columns, BINS] of the block before and of this block."""

    def __init__(self, columns: int) -> None:
        self.bundle = b""
        self.block, self.models = -1, _NOBODY
        self.counts = np.zeros((2, columns, BINS), np.int64)
        self._before: tuple[bytes, int, int, Counts] | None = None

    @property
    def total(self) -> Counts:
        """All that speaks: i8[columns, BINS]."""
        return np.asarray(self.counts.sum(axis=0))

    @property
    def rows(self) -> int:
        """How many speak."""
        return int(self.counts[:, 0].sum())

    def begin(self) -> None:
        if self._before is not None:
            raise RuntimeError("begin on top of an open begin")
        self._before = self.bundle, self.block, self.models, self.counts.copy()

    def rollback(self) -> None:
        if self._before is None:
            raise RuntimeError("rollback without begin")
        self.bundle, self.block, self.models, self.counts = self._before
        self._before = None

    def commit(self) -> None:
        self._before = None

    def arrays(self) -> Arrays:
        return {"bundle": np.frombuffer(self.bundle, np.uint8).copy(), "counts": self.counts.copy(),
                "place": np.array([self.block, self.models], np.int64)}

    def load(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Take over what `arrays` gave. Raises ConfigError."""
        try:
            self.bundle = arrays["bundle"].astype(np.uint8).tobytes()
            self.counts = arrays["counts"].astype(np.int64).reshape(self.counts.shape)
            self.block, self.models = arrays["place"].tolist()
        except (KeyError, ValueError, TypeError) as error:
            raise ConfigError(f"the drift's snapshot does not fit ({error}): delete it, it is rebuilt") from error

    def digest(self) -> str:
        content = b"".join(part.astype(part.dtype.newbyteorder("<")).tobytes() for part in self.arrays().values())
        return hashlib.sha256(content).hexdigest()

    def enter(self, block: int) -> None:
        """Go on to a later block."""
        self.counts[0] = self.counts[1] if block == self.block + 1 else 0
        self.counts[1] = 0
        self.block, self.models = block, _NOBODY

    def admit(self, bundle: bytes, models: NDArray[np.int64]) -> int:
        """The first of some rows in a row of one bundle that counts; their number when none does."""
        first = 0
        if bundle != self.bundle:
            newer = np.flatnonzero(models > self.models)
            if not len(newer):
                return len(models)
            first = int(newer[0])
            self.bundle = bundle
            self.counts[:] = 0
        self.models = max(self.models, int(models[first:].max()))
        return first


def fold(state: WindowState, rows: Rows, grid_of: Callable[[bytes], Grid | None], window: int = WINDOW) -> None:
    """Count rows. Of a bundle without a grid nothing is counted."""
    blocks = rows.offsets // window
    for start, stop in _runs(blocks, rows.bundles):
        if blocks[start] != state.block:
            state.enter(int(blocks[start]))
        bundle = bytes(rows.bundles[start])
        start += state.admit(bundle, rows.models[start:stop])
        if start < stop and (grid := grid_of(bundle)) is not None:
            state.counts[1] += grid.count(rows.x[start:stop])


def _runs(*columns: NDArray[Any]) -> Iterator[tuple[int, int]]:
    """Where runs of rows that are equal in all columns start and stop."""
    changes = np.logical_or.reduce([column[1:] != column[:-1] for column in columns])
    return pairwise([0, *(np.flatnonzero(changes) + 1).tolist(), len(columns[0])])
