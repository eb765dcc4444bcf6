"""The thresholds that bundles have of their own."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from model.bundles.manifest import read_manifest
from model.ensemble.thresholds import Rule, rule
from tidegate.errors import ConfigError


def thresholds_of(folder: Path, names: Iterable[str]) -> dict[str, Rule]:
    """Those of these bundles (hashes) that are in the folder and whole."""
    found = {}
    for name in names:
        with suppress(ConfigError):
            found[name] = rule(read_manifest(folder / name).thresholds)
    return found
