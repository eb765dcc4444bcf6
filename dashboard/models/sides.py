"""The bundles that have a role, beside each other: what each was trained on and how good it was."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from model.bundles.catalog import Entry, entries
from model.bundles.manifest import Manifest
from model.evaluation.kept import read_quality
from model.evaluation.metrics import Quality
from tidegate.errors import ConfigError

ROLES = ("champion", "challenger", "shadow", "canary")
WIDE, HIGH = 100.0, 100.0
"""Of a chart."""


class Side(NamedTuple):
    """A bundle in a role; `quality` is None for one that keeps no curves."""

    role: str
    bundle: str
    manifest: Manifest | None
    quality: Quality | None
    fault: str

    def metric(self, name: str) -> str:
        """A figure of its test, with its interval where there is one."""
        metrics = self.manifest.metrics if self.manifest else {}
        if name not in metrics:
            return "\u2013"
        text = f"{metrics[name]:.3f}"
        if f"{name}_low" in metrics:
            text += f" [{metrics[name + '_low']:.3f}, {metrics[name + '_high']:.3f}]"
        return text


class Line(NamedTuple):
    """A curve of one side, as the points of an SVG polyline."""

    role: str
    bundle: str
    points: str


def sides(folder: Path, roles: Mapping[str, str]) -> list[Side]:
    """The roles that are taken, in the order of `ROLES`."""
    known = {entry.hash: entry for entry in entries(folder)}
    return [_side(folder, role, roles[role], known) for role in ROLES if roles.get(role)]


def _side(folder: Path, role: str, bundle: str, known: Mapping[str, Entry]) -> Side:
    entry = known.get(bundle, Entry(bundle, None, "gone"))
    try:
        quality = read_quality(folder / bundle) if entry.manifest else None
    except ConfigError as error:
        return Side(role, bundle, entry.manifest, None, str(error))
    return Side(role, bundle, entry.manifest, quality, entry.fault)


def challengers(listed: Sequence[Entry], profile_hash: str, taken: set[str]) -> list[Entry]:
    """The bundles of this version of the profile without a role, newest first."""
    return [
        entry
        for entry in listed
        if entry.manifest
        and entry.manifest.profile_hash == profile_hash
        and entry.hash not in taken
    ]


def curve(shown: Sequence[Side], across: str, up: str) -> list[Line]:
    """Two columns of the kept curves against each other."""
    return [
        Line(side.role, side.bundle, _points(side.quality.curves[across], side.quality.curves[up]))
        for side in shown
        if side.quality and side.quality.curves
    ]


def calibration(shown: Sequence[Side]) -> list[Line]:
    """The share of frauds over the scores, by tenths."""
    return [
        Line(
            side.role,
            side.bundle,
            _points(
                [one.score for one in side.quality.calibration],
                [one.frauds for one in side.quality.calibration],
            ),
        )
        for side in shown
        if side.quality and side.quality.calibration
    ]


def _points(across: Sequence[float], up: Sequence[float]) -> str:
    pairs = zip(across, up, strict=True)
    return " ".join(f"{WIDE * x:.2f},{HIGH * (1 - y):.2f}" for x, y in pairs)
