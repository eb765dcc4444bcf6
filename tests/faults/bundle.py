"""A small bundle of the card profile, trained once in a run."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from model.bundles.bundle import Bundle
from model.training.train import train
from producers.simulator.history import read_frame, simulate_history
from tests.shared import made_once
from tidegate.profile import load_profile


@cache
def card_bundle() -> tuple[Path, Bundle]:
    """The folder of bundles, and the one in it."""
    folder = made_once("bundles", _train)
    (path,) = folder.iterdir()
    return folder, Bundle.load(path)


def _train(folder: Path) -> None:
    profile = load_profile("card")
    # quick to load: every start does it
    profile.models.settings["lightgbm"] = {"trees": 4, "leaves": 7}
    history = read_frame(profile, simulate_history(profile, 20_000, 1)).history
    train(profile, history, folder, lambda _share, _what: None)
