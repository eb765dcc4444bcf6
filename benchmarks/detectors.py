"""What each detector costs a transaction, on batches as the score stage gets them."""

from __future__ import annotations

import json
import re
import time

import numpy as np

from model.detectors.base import Array, Detector
from model.detectors.catalog import known, trained_by
from tidegate.profile import load_profile

ROWS, FITTED = 20_000, 5_000
BATCH = 4000
_REPEATS = 5
_Settings = dict[str, float | int | str | bool | list[str]]
_STEPS = 8
_SERIES = {"series0": "amount", "series1": "user_since_last"}
"""The sequences that the LSTM autoencoder reads, and the values they consist of."""


def detector_us_per_tx(*, neural: bool) -> dict[str, float]:
    """CPU us a row of the card profile's columns, of each detector as large as it is by default.

    The best of a few runs over 20,000 rows. What training taught does not matter to the cost, so
    the rows are made up. `neural` includes the models that TensorFlow trains, which takes longer.
    """
    width = len(load_profile("card").features)
    chance = np.random.default_rng(0)
    x = np.exp(chance.normal(size=(ROWS, width)))
    y = x[:, 0] * x[:, 1] > 8.0
    features = [f"series{k // _STEPS}_{k % _STEPS}" for k in range(width)]
    detectors = {
        name: kind.fit(x[:FITTED], y[:FITTED], features, _settings(name) | _once(name))
        for name, kind in known().items()
        if neural or name not in trained_by("neural")
    }
    return {
        name: round(min(_us(detector, x) for _ in range(_REPEATS)), 2)
        for name, detector in detectors.items()
    }


def with_every_detector(card: str) -> str:
    """The card profile with all detectors at their default size, and sequences for one of them."""
    sequences = "".join(
        f"  {name}: {{op: recent, of: {of}, by: user_id, last: {_STEPS}}}\n"
        for name, of in _SERIES.items()
    )
    models = "".join(f"  {name}: {json.dumps(_settings(name))}\n" for name in known())
    return re.sub(
        r"^models:\n(  .*\n)+", f"{sequences}\nmodels:\n{models}", card, flags=re.MULTILINE
    )


def _once(name: str) -> _Settings:
    return {"epochs": 1} if name in trained_by("neural") else {}


def _settings(name: str) -> _Settings:
    return {"series": list(_SERIES)} if name == "lstm_autoencoder" else {}


def _us(detector: Detector, x: Array) -> float:
    started = time.process_time()
    for start in range(0, len(x), BATCH):
        detector.score(x[start : start + BATCH])
    return (time.process_time() - started) / len(x) * 1e6
