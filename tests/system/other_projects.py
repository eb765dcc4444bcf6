"""Pipelines of the profiles that other projects' users choose, small enough to start in a test."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.system.pipeline import Pipeline
from tidegate.profile import load_profile

_SHORT = ("simulate: 60000", "simulate: 15000")
_CHANGES = {
    "card_unsupervised": [("autoencoder: {weight: 0.5,", "autoencoder: {epochs: 3, weight: 0.5,")],
    "vector": [("length: 8", "length: 4")],  # as the project's example has it
}
"""What becomes what in a profile's text, beside the shorter history."""


@contextmanager
def started(folder: Path, name: str) -> Iterator[Pipeline]:
    """A pipeline of a shipped profile that has learnt a short history, in an empty folder."""
    profile = folder / f"{name}.yaml"
    text = load_profile(name).path.read_text()
    for old, new in (_SHORT, *_CHANGES.get(name, [])):
        assert old in text
        text = text.replace(old, new)
    profile.write_text(text)
    data = {"TIDEGATE_TRAINING_DATA": str(folder / "home/data")}
    pipeline = Pipeline(folder / "home", profile=str(profile), env=data)
    try:
        trained = pipeline.run("train", timeout=600)
        assert trained.returncode == 0, trained.stderr
        pipeline.start()
        yield pipeline
    finally:
        pipeline.close()
