"""What a bundle's folder says of itself, and the check that its files are what it says.

It imports no detector, so that commands which only look at bundles start quickly.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import msgspec

from model.detectors.base import read_json
from model.drift.reference import REFERENCE_FILE, Reference
from tidegate.errors import ConfigError

MANIFEST = "manifest.json"
"""The file in a bundle's folder that names all others."""
QUALITY_FILE = "quality.json"
"""The bundle's file with the points of its curves on the test slice: `evaluation.metrics.Quality`.
Bundles from before they were kept, and those that met no verdict, have none.
"""
FORMAT = 2
"""Raised whenever what a file of a bundle holds changes its meaning; others are refused."""
_CHANCE = 0.5
"""The AUC of scores that say nothing."""
LARGEST = 256 * 1024 * 1024
"""Bytes in a file of a bundle."""


class Training(msgspec.Struct, forbid_unknown_fields=True):
    """Which history the bundle comes from: event times in us of the first and last row learnt from;
    rows and frauds of what comes before the stack's slice, of that slice and of the test.
    """

    source: str
    from_us: int
    to_us: int
    rows: list[int]
    frauds: list[int]


class Manifest(msgspec.Struct, forbid_unknown_fields=True):
    """manifest.json: what is in the folder, and how good it was on the test slice."""

    profile: str
    profile_hash: str
    values: list[str]
    features: list[str]
    detectors: list[str]
    thresholds: dict[str, float]
    """`model.ensemble.thresholds.Fixed` or `model.ensemble.thresholds.ByAmount`, by name."""
    training: Training
    metrics: dict[str, float]
    files: dict[str, str]
    created_us: int
    format: int = FORMAT
    tuned: dict[str, dict[str, float]] | msgspec.UnsetType = msgspec.UNSET
    """Settings by model that trials chose instead of the profile's."""


def chance_warning(manifest: Manifest) -> str:
    """What to say of a bundle whose final score ranked the test slice no better than chance does:
    the AUC's 95% interval reaches down to 0.5. Empty for a better one, and for one that was not
    tested on verdicts.
    """
    metrics = manifest.metrics
    if metrics.get("auc_low", metrics.get("auc", 1.0)) > _CHANCE:
        return ""
    auc = f"AUC {metrics['auc']:.3f}"
    if "auc_low" in metrics:
        auc += f", 95% between {metrics['auc_low']:.3f} and {metrics['auc_high']:.3f}"
    return (
        f"the model is no better than chance on its test slice ({auc}; chance gives 0.5): the "
        f"{manifest.training.frauds[-1]:,} frauds there scored like other transactions"
    )


def digest_of(content: bytes) -> str:
    """The SHA-256 of a bundle's file, as the manifest has it."""
    return hashlib.sha256(content).hexdigest()


def hash_of(manifest: bytes) -> str:
    """The hash of the bundle with this manifest.json: the name of its folder."""
    return digest_of(manifest)[:16]


def read_manifest(path: Path) -> Manifest:
    """What a bundle's folder says of itself.

    Raises ConfigError when that is not what the folder's name says.
    """
    content = _read(path / MANIFEST)
    digest = hash_of(content)
    if digest != path.name:
        raise damaged(path, f"manifest.json has the hash {digest}, not the folder's name")
    return decode_manifest(path, content)


def decode_manifest(path: Path, content: bytes) -> Manifest:
    """What manifest.json of the bundle at `path` says. Raises ConfigError."""
    try:
        return msgspec.json.decode(content, type=Manifest)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise damaged(path, f"manifest.json: {error}") from error


def verified(path: Path, name: str, expected: str) -> bytes:
    """The content of the bundle's file `name`.

    Raises ConfigError when its SHA-256 is not the expected one.
    """
    content = _read(path / name)
    digest = digest_of(content)
    if digest != expected:
        raise damaged(
            path, f"{name} has the SHA-256 {digest[:16]}..., the manifest says {expected[:16]}..."
        )
    return content


def _read(file: Path) -> bytes:
    try:
        if file.is_symlink() or file.stat().st_size > LARGEST:
            raise damaged(file.parent, f"{file.name} is a link, or larger than {LARGEST:,} bytes")
        return file.read_bytes()
    except OSError as error:
        raise damaged(file.parent, f"{file.name} cannot be read ({error.strerror})") from error


def damaged(path: Path, problem: str) -> ConfigError:
    """The error for the bundle in this folder: what is wrong, and what to do about it."""
    return ConfigError(
        f"bundle {path}: {problem}. Copy the folder again from where it was trained, "
        "or train a new one with `tidegate train`"
    )


def read_reference(bundle: Path) -> Reference | None:
    """What the bundle in this folder learnt from; None for one from before bundles kept it.

    Raises ConfigError when it cannot be read, or is not what the manifest says.
    """
    digest = read_manifest(bundle).files.get(REFERENCE_FILE)
    if digest is None:
        return None
    return read_json(REFERENCE_FILE, verified(bundle, REFERENCE_FILE, digest), Reference)
