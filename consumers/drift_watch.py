"""The drift of the stream: counts what has been scored, and tells how far it is from what the
bundle learnt from.
"""

from __future__ import annotations

import logging
from collections import Counter
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from prometheus_client import Gauge

from model.bundles.manifest import read_reference
from model.drift.reference import Grid
from model.drift.window import WINDOW, ScoredColumns, WindowState, fold, reached, rows_of
from tidegate.errors import ConfigError
from tidegate.messages.documents import Drift, Kind, Moved
from tidegate.metrics import DRIFT_KS, DRIFT_PSI
from tidegate.profile import Profile
from tidegate.profile.look_back import look_back

_LOG = logging.getLogger(__name__)
FEWEST = 500
"""ScoredColumns before anything is said: with fewer, chance alone moves the shares of the bins."""
_STEP = 500
"""ScoredColumns between two times that something is said."""
_TOLD = 12
"""A heartbeat carries so many columns that are computed, and so many others: those that moved
most.
"""
_OF_EACH_SPAN = 2
"""So many computed columns of each length of look-back are among them, so that windows that are
still filling do not crowd out those that are full.
"""


class DriftWatch:
    """Folds scored rows into the state of their partition, and tells metrics and heartbeat of it.

    The scored topic is keyed by transaction, so the rows of a partition are a random sample of the
    stream, and the window of any one of them speaks for all. `told` is what was said last; None
    while there are too few rows.
    """

    reach = 2 * WINDOW

    def __init__(self, profile: Profile, bundles: Path) -> None:
        self._names: list[tuple[str, Kind]] = [
            *((name, "input" if name in profile.inputs else "derived") for name in profile.values),
            ("score", "score"),
        ]
        self._profile = profile
        self._bundles, self._grids = bundles, dict[bytes, Grid | None]()
        self._gauges: dict[tuple[str, str], tuple[Gauge, Gauge]] = {}
        self.told: Drift | None = None

    @cached_property
    def _look_back(self) -> dict[str, int]:
        return look_back(self._profile)

    def new_state(self) -> WindowState:
        """No rows yet."""
        return WindowState(len(self._names))

    def fold(self, state: WindowState, offsets: NDArray[np.int64], rows: NDArray[Any]) -> None:
        """Count scored rows (of the profile's scored layout), and tell when enough have come."""
        before, first = _mark(state), reached(offsets)
        offsets, rows = offsets[first:], rows[first:]
        x = np.empty((len(rows), len(self._names)))
        x[:, :-1], x[:, -1] = rows["values"], rows["score"]
        fold(state, ScoredColumns(offsets, rows["bundle"], x), self._grid)
        if _mark(state) != before:
            self._tell(state)

    def _grid(self, bundle: bytes) -> Grid | None:
        """The grid of a bundle; None, and a line in the log, when its reference is not there."""
        if bundle not in self._grids:
            self._grids[bundle] = self._read(bundle.decode())
        return self._grids[bundle]

    def _read(self, bundle: str) -> Grid | None:
        try:
            reference = read_reference(self._bundles / Path(bundle).name)
        except ConfigError as error:
            _LOG.warning("no drift is told: %s", error)
            return None
        if reference is None:
            _LOG.warning(
                "no drift is told: bundle %s was trained before bundles kept what they learnt from",
                bundle,
            )
            return None
        known = [reference.features.get(name) for name, _ in self._names[:-1]]
        return Grid([*known, reference.score])

    def _tell(self, state: WindowState) -> None:
        bundle = state.bundle
        counts = state.counts[bundle].sum(axis=0) if bundle else None
        grid = self._grid(bundle) if bundle else None
        if counts is None or grid is None or rows_of(counts) < FEWEST:
            self.told = None
            DRIFT_PSI.clear()
            DRIFT_KS.clear()
            self._gauges.clear()
            return
        moved = [
            Moved(name, kind, round(psi, 4), round(ks, 4))
            for (name, kind), psi, ks in zip(
                self._names, grid.psi(counts).tolist(), grid.ks(counts).tolist(), strict=True
            )
            if psi == psi
        ]
        for one in moved:
            self._set(one)
        moved.sort(key=lambda one: -one.psi)
        others = [one for one in moved if one.kind != "derived"][:_TOLD]
        derived = self._most_moved([one for one in moved if one.kind == "derived"])
        told = sorted([*others, *derived], key=lambda one: -one.psi)
        self.told = Drift(bundle.decode(), rows_of(counts), told)

    def _most_moved(self, derived: list[Moved]) -> list[Moved]:
        """The computed columns to tell of, from all of them in the order of their PSI."""
        told, of_span = [], Counter[int]()
        for place, one in enumerate(derived):
            span = self._look_back[one.name]
            of_span[span] += 1
            if place < _TOLD or of_span[span] <= _OF_EACH_SPAN:
                told.append(one)
        return told

    def _set(self, one: Moved) -> None:
        """Finding a gauge by its labels takes longer than all else that is done for a column."""
        at = one.kind, one.name
        if at not in self._gauges:
            self._gauges[at] = DRIFT_PSI.labels(*at), DRIFT_KS.labels(*at)
        psi, ks = self._gauges[at]
        psi.set(one.psi)
        ks.set(one.ks)


def _mark(state: WindowState) -> tuple[int, int]:
    """Changes when it is time to say something."""
    return state.block, sum(rows_of(counts[1]) for counts in state.counts.values()) // _STEP
