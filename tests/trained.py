from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from model.bundles.bundle import Bundle
from model.detectors.base import Array
from model.detectors.catalog import known
from model.history.fold import fold
from model.training.train import train
from producers.simulator.history import read_frame, simulate_history
from tidegate.profile import Profile, load_profile

EVERY_DETECTOR = "models:\n" + "".join(
    f"  {name}: {{{'epochs: 1' if kind.extra == 'neural' else ''}}}\n"
    for name, kind in known().items()
)


class Trained(NamedTuple):
    profile: Profile
    bundle: Bundle
    values: Array
    labels: np.ndarray
    steps: list[tuple[float, str]]


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """The card profile's models on 30,000 simulated transactions, and that history's columns."""
    profile, steps = load_profile("card"), []
    history = read_frame(profile, simulate_history(profile, 30_000, seed=5)).history
    folder: Path = tmp_path_factory.mktemp("bundles")
    bundle = train(profile, history, folder, lambda share, what: steps.append((share, what)))
    return Trained(profile, bundle, fold(profile, history), history.labels, steps)


@pytest.fixture(scope="session")
def everything(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """Every detector, as large as they are by default, on 10,000 simulated vectors."""
    folder: Path = tmp_path_factory.mktemp("everything")
    path, text = folder / "vector.yaml", load_profile("vector").path.read_text()
    path.write_text(re.sub(r"models:\n(  .*\n)+", EVERY_DETECTOR, text))
    profile, steps = load_profile(str(path)), []
    history = read_frame(profile, simulate_history(profile, 10_000, seed=5)).history
    bundle = train(profile, history, folder, lambda share, what: steps.append((share, what)))
    return Trained(profile, bundle, fold(profile, history), history.labels, steps)
