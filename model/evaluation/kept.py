"""The curves that a bundle keeps of its test."""

from __future__ import annotations

from pathlib import Path

from model.bundles.manifest import QUALITY_FILE, read_manifest, verified
from model.detectors.base import read_json
from model.evaluation.metrics import Quality


def read_quality(bundle: Path) -> Quality | None:
    """How good the bundle in this folder was on its test slice; None for one that keeps nothing.

    Raises ConfigError when it cannot be read, or is not what the manifest says.
    """
    digest = read_manifest(bundle).files.get(QUALITY_FILE)
    if digest is None:
        return None
    return read_json(QUALITY_FILE, verified(bundle, QUALITY_FILE, digest), Quality)
