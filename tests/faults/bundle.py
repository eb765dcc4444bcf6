"""A small bundle of the card profile, trained once in a session."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path

from model.bundles.bundle import Bundle
from model.training.train import train
from producers.simulator.history import simulate_history
from tidegate.profile import load_profile


@cache
def card_bundle() -> tuple[Path, Bundle]:
    """The folder of bundles, and the one in it."""
    profile = load_profile("card")
    profile.models.settings["lightgbm"] = {
        "trees": 4,
        "leaves": 7,
    }  # quick to load: every start does it
    history = simulate_history(profile, 20_000, 1)
    folder = Path(tempfile.mkdtemp(prefix="tidegate-bundles-"))
    labels = history["label"].to_numpy("int8")
    return folder, train(
        profile, history.drop(columns="label"), labels, folder, lambda _share, _what: None
    )
