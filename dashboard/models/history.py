"""The drift of each column over time, from a few rows of each day against the training."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from sqlalchemy import Row

from db.spread import spread_rows
from db.tables import transactions
from model.bundles.manifest import read_reference
from model.drift.reference import Grid
from tidegate.clock import now_us
from tidegate.profile import Profile
from tidegate.profile.spec import DAY

DAYS, WINDOWS, ROWS = 28, 28, 400
SHOWN = 12
"""Columns, those that have moved most."""
FAR = 0.25
"""From this PSI on a column has moved (Siddiqi)."""
_FEWEST = 50
_COLUMNS = (transactions.c.ingested_us, transactions.c.features, transactions.c.score)


class Track(NamedTuple):
    """One column: its newest PSI, the highest of the time, and the points of an SVG polyline that
    is 100 wide and 30 high, where the top is 1.
    """

    name: str
    newest: float
    highest: float
    points: str


class History(NamedTuple):
    """From and to when, how many rows were looked at, and the columns that moved most."""

    from_us: int
    to_us: int
    rows: int
    tracks: list[Track]


def drift_history(url: str, profile: Profile, bundle: Path) -> History | None:
    """None without a reference, or where too few rows have come. Raises ConfigError, Retry."""
    reference = read_reference(bundle)
    if reference is None:
        return None
    windows = spread_rows(
        url, profile.hash.decode(), _COLUMNS, now_us() - DAYS * DAY, WINDOWS, ROWS
    )
    windows = [window for window in windows if len(window) >= _FEWEST]
    if not windows:
        return None
    names = [name for name in profile.values if name in reference.features]
    places = [profile.values.index(name) for name in names]
    grid = Grid([*(reference.features[name] for name in names), reference.score])
    moved = np.array([grid.psi(grid.count(_columns(window, places))) for window in windows])
    times = [int(np.median([row.ingested_us for row in window])) for window in windows]
    tracks = [_track(name, moved[:, place], times) for place, name in enumerate([*names, "score"])]
    ordered = sorted(tracks, key=lambda track: -track.highest)
    return History(times[0], times[-1], sum(map(len, windows)), ordered[:SHOWN])


def _columns(window: Sequence[Row[Any]], places: Sequence[int]) -> np.ndarray[Any, Any]:
    """The reference's columns f8[n, features + 1], the score last."""
    packed = b"".join(row.features for row in window)
    values = np.frombuffer(packed, "<f8").reshape(len(window), -1)
    scores = np.array([row.score for row in window])
    return np.column_stack([values[:, places], scores])


def _track(name: str, moved: np.ndarray[Any, Any], times: Sequence[int]) -> Track:
    whole = max(1, times[-1] - times[0])
    points = " ".join(
        f"{100 * (at - times[0]) / whole:.2f},{30 * (1 - min(1.0, psi)):.2f}"
        for at, psi in zip(times, moved.tolist(), strict=True)
    )
    if len(times) == 1:
        points += f" 100,{30 * (1 - min(1.0, float(moved[0]))):.2f}"
    return Track(name, float(moved[-1]), float(moved.max()), points)
