"""The drift of the stream: how far scored rows are from what the bundle learnt from."""

from __future__ import annotations

import logging
from collections import Counter
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from prometheus_client import Gauge

from model.bundles.fetching import Fetching
from model.bundles.manifest import read_reference
from model.bundles.shared import SharedBundles
from model.drift.reference import Grid
from model.drift.window import REACH, ROWS, ScoredColumns, WindowState, fold, rows_of
from tidegate.broker.addresses import address_of, offset_of
from tidegate.errors import ConfigError
from tidegate.messages.heartbeats import Drift, Kind, Moved
from tidegate.metrics import DRIFT_KS, DRIFT_PSI
from tidegate.pipeline import SCORED
from tidegate.profile import Profile
from tidegate.profile.look_back import look_back

_LOG = logging.getLogger(__name__)
FEWEST = 500
"""Rows before anything is reported: with fewer, chance alone moves the shares of the bins."""
_STEP = 500
"""Rows between two reports."""
_MOST = 12
"""A heartbeat carries so many columns that are computed, and so many others: those that moved
most.
"""
_OF_EACH_SPAN = 2
"""So many computed columns of each length of look-back are among them, so that windows that are
still filling do not crowd out those that are full.
"""


class DriftWatch:
    """Folds scored rows into the state of their partition, and reports to metrics and heartbeat.

    The scored topic is keyed by transaction, so the rows of a partition are a random sample of the
    stream, and the window of any one of them speaks for all. `newest` is the newest report; None
    while there are too few rows.
    """

    reach = address_of(SCORED, REACH)

    def __init__(
        self, profile: Profile, bundles: Path, shared: SharedBundles | None = None
    ) -> None:
        self._names: list[tuple[str, Kind]] = [
            *((name, "input" if name in profile.inputs else "derived") for name in profile.values),
            ("score", "score"),
        ]
        self._profile = profile
        self._bundles = bundles
        self._fetching = Fetching(shared) if shared else None
        self._grids = dict[bytes, Grid | None]()
        self._gauges: dict[tuple[str, str], tuple[Gauge, Gauge]] = {}
        self._unreported = 0
        self.newest: Drift | None = None

    @cached_property
    def _look_back(self) -> dict[str, int]:
        return look_back(self._profile)

    def new_state(self) -> WindowState:
        """No rows yet."""
        return WindowState(len(self._names))

    def fold(self, state: WindowState, addresses: NDArray[np.int64], rows: NDArray[Any]) -> None:
        """Count scored rows (of the profile's scored layout), and report when enough have come.

        Raises Retry while a bundle cannot be fetched: without its rows the state were no fold.
        """
        newest = rows[-ROWS:]
        x = np.empty((len(newest), len(self._names)))
        x[:, :-1], x[:, -1] = newest["values"], newest["score"]
        messages = offset_of(SCORED, addresses[-ROWS:])
        fold(state, ScoredColumns(messages, newest["bundle"], x), self._grid)
        self._unreported += len(rows)
        if self._unreported >= _STEP:
            self._unreported = 0
            self._report(state)

    def _grid(self, bundle: bytes) -> Grid | None:
        """The grid of a bundle; None, and a line in the log, when its reference is not there.

        Raises Retry.
        """
        if bundle not in self._grids:
            self._grids[bundle] = self._read(bundle.decode())
        return self._grids[bundle]

    def _read(self, bundle: str) -> Grid | None:
        try:
            if self._fetching:
                self._fetching.fetch(bundle)
            reference = read_reference(self._bundles / Path(bundle).name)
        except ConfigError as error:
            _LOG.warning("no drift is reported: %s", error)
            return None
        if reference is None:
            _LOG.warning(
                "no drift is reported: bundle %s was trained before bundles kept what they learnt "
                "from",
                bundle,
            )
            return None
        known = [reference.features.get(name) for name, _ in self._names[:-1]]
        return Grid([*known, reference.score])

    def _report(self, state: WindowState) -> None:
        bundle = state.bundle
        counts = state.counts(bundle) if bundle else None
        grid = self._grid(bundle) if bundle else None
        if counts is None or grid is None or rows_of(counts) < FEWEST:
            self._withdraw()
            return
        moved = self._moved(grid, counts)
        for column in moved:
            self._set_gauges(column)
        moved.sort(key=lambda column: -column.psi)
        computed = self._most_moved([column for column in moved if column.kind == "derived"])
        others = [column for column in moved if column.kind != "derived"][:_MOST]
        most = sorted([*others, *computed], key=lambda column: -column.psi)
        self.newest = Drift(bundle.decode(), rows_of(counts), most)

    def _most_moved(self, computed: list[Moved]) -> list[Moved]:
        """The computed columns to report, of all of them in the order of their PSI."""
        most: list[Moved] = []
        of_span = Counter[int]()
        for place, column in enumerate(computed):
            span = self._look_back[column.name]
            of_span[span] += 1
            if place < _MOST or of_span[span] <= _OF_EACH_SPAN:
                most.append(column)
        return most

    def _withdraw(self) -> None:
        """Nothing is known of the drift any more."""
        self.newest = None
        DRIFT_PSI.clear()
        DRIFT_KS.clear()
        self._gauges.clear()

    def _moved(self, grid: Grid, counts: NDArray[Any]) -> list[Moved]:
        """How far each column has moved that the bundle has a reference of."""
        return [
            Moved(name, kind, round(psi, 4), round(ks, 4))
            for (name, kind), psi, ks in zip(
                self._names, grid.psi(counts).tolist(), grid.ks(counts).tolist(), strict=True
            )
            if not np.isnan(psi)
        ]

    def _set_gauges(self, column: Moved) -> None:
        """Finding a gauge by its labels takes longer than all else that is done for a column."""
        labels = column.kind, column.name
        if labels not in self._gauges:
            self._gauges[labels] = DRIFT_PSI.labels(*labels), DRIFT_KS.labels(*labels)
        psi, ks = self._gauges[labels]
        psi.set(column.psi)
        ks.set(column.ks)
