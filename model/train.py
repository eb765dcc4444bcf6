"""Training: history through the serving operator; detectors learn its first part, the stack the next, then a test."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from model.bundle import Bundle, Manifest, Training, save
from model.decision import HeldOut, decide, resolve, rule
from model.detectors.base import Array, Detector, known
from model.ensemble import Combiner, Ensemble, sigmoid
from model.evaluate import metrics
from model.history import event_times, fold, minor_units
from model.ranking import RankAverage
from tidegate.errors import ConfigError
from tidegate.profile import Profile

Progress = Callable[[float, str], None]
_CUTS = (0.7, 0.85)
"""Share of history before the stack's slice, and before the test slice."""
_FEWEST = 10
"""Frauds that each slice needs."""
_FEWEST_ROWS = 100
"""Rows that each slice needs where nothing is known to be fraud."""


def train(profile: Profile, frame: pd.DataFrame, labels: NDArray[np.int8], out_dir: Path, progress: Progress,
          seed: int = 0) -> Bundle:
    """A bundle below `out_dir` from a history in time order.

    `labels` i1[n]: 1 fraud, 0 legitimate, -1 nothing known (counts in windows, is not learnt from). `progress` is told
    the share done and what is done next. Raises ConfigError when the history holds too few verdicts.
    """
    parts = _slices(labels)
    _sufficient(profile, labels, parts)
    progress(0.0, f"features of {len(frame):,} transactions")
    values = fold(profile, frame, labels)
    features = sorted(profile.features)
    x = np.ascontiguousarray(values[:, [profile.values.index(name) for name in features]])
    fit, stack, test = parts
    detectors: list[Detector] = []
    for k, name in enumerate(profile.models.names):
        progress(0.5 + 0.4 * k / len(profile.models.names), f"{name} on {len(fit):,} transactions")
        settings = {key: value for key, value in profile.models.settings[name].items() if key != "weight"}
        detectors.append(_kind(profile, name).fit(x[fit], labels[fit] == 1, features, settings, seed))
    progress(0.9, "calibration and test")
    margins = np.column_stack([part.score(x) for part in detectors])
    ensemble = _combiner(profile, margins[stack], labels[stack] == 1)
    held_out = slice(int(stack[0]), int(stack[-1]) + 1)
    thresholds = resolve(profile, HeldOut(ensemble.combine(margins[held_out]), event_times(profile, frame)[held_out],
                                          ensemble.calibrated))
    final = ensemble.combine(margins[test])
    found = _metrics(detectors, margins[test], final, labels[test] == 1)
    found |= _decisions(decide(rule(thresholds), final, minor_units(profile, values[test])), labels[test] == 1)
    manifest = Manifest(
        profile.name, profile.hash.decode(), list(profile.values), features, list(profile.models.names),
        thresholds, _training(profile, frame, labels, parts), found, {}, time.time_ns() // 1000)
    bundle = save(out_dir, manifest, detectors, ensemble)
    progress(1.0, f"bundle {bundle.hash}")
    return bundle


def _combiner(profile: Profile, margins: Array, y: NDArray[np.bool_]) -> Combiner:
    """A calibrated stack; where nobody has said what was fraud, a mean of ranks weighted by `models.NAME.weight`."""
    if y.any():
        return Ensemble.fit(margins, y)
    given = [profile.models.settings[name].get("weight", 1.0) for name in profile.models.names]
    weights = [float(weight) for weight in given if isinstance(weight, int | float) and 0 < weight <= 1e6]
    if len(weights) < len(given):
        raise ConfigError(f"{profile.path}: models: expected positive numbers as weights, got {given}")
    return RankAverage.fit(margins, weights)


def _kind(profile: Profile, name: str) -> type[Detector]:
    kinds = known()
    if name not in kinds:
        raise ConfigError(f"{profile.path}: models.{name}: no such model; there are {', '.join(kinds)}")
    return kinds[name]


def _slices(labels: NDArray[np.int8]) -> list[NDArray[np.intp]]:
    """Rows with a verdict, by time: for the detectors, for the stack, for the test. Without frauds all rows count."""
    verdicts = np.flatnonzero(labels >= 0) if (labels == 1).any() else np.arange(len(labels))
    return np.split(verdicts, [int(len(verdicts) * cut) for cut in _CUTS])


def _sufficient(profile: Profile, labels: NDArray[np.int8], parts: Sequence[NDArray[np.intp]]) -> None:
    if not (labels == 1).any():
        _sufficient_without_verdicts(profile, parts)
        return
    for rows, what in zip(parts, ("first 70%", "next 15%", "last 15%"), strict=True):
        frauds = int((labels[rows] == 1).sum())
        if frauds < _FEWEST or len(rows) - frauds < _FEWEST:
            raise ConfigError(f"{profile.path}: history: the {what} of the transactions with a verdict hold {frauds} "
                              f"frauds of {len(rows)}; training needs {_FEWEST} frauds and {_FEWEST} others in "
                              "each part: give a longer history")


def _sufficient_without_verdicts(profile: Profile, parts: Sequence[NDArray[np.intp]]) -> None:
    learning = [name for name in profile.models.names if _kind(profile, name).supervised]
    if learning:
        raise ConfigError(f"{profile.path}: history: nothing in it is known to be fraud, and {', '.join(learning)} "
                          f"learn from verdicts; training needs {_FEWEST} frauds in each part, or only models that "
                          "need none")
    if min(map(len, parts)) < _FEWEST_ROWS:
        raise ConfigError(f"{profile.path}: history: training needs {_FEWEST_ROWS} transactions in each part: give a "
                          "longer history")


def _training(profile: Profile, frame: pd.DataFrame, labels: NDArray[np.int8],
              parts: Sequence[NDArray[np.intp]]) -> Training:
    source = f"simulate {profile.history.simulate}" if profile.history.simulate else profile.history.file
    first, last = 0, 0
    if profile.time_field and isinstance(frame[profile.time_field].dtype, pd.DatetimeTZDtype | np.dtype):
        times = pd.to_datetime(frame[profile.time_field], utc=True)
        first, last = (int(moment.value) // 1000 for moment in (times.min(), times.max()))
    return Training(source, first, last, [len(rows) for rows in parts],
                    [int((labels[rows] == 1).sum()) for rows in parts])


def _metrics(detectors: Sequence[Detector], margins: Array, final: Array, y: NDArray[np.bool_]) -> dict[str, float]:
    """On the test slice; only what is flagged can be counted where nothing is known to be fraud."""
    if not y.any():
        return {}
    found = metrics("", final, y)
    for k, part in enumerate(detectors):
        found |= metrics(f"{part.name}_", sigmoid(margins[:, k]), y)
    return found | {"base_rate": float(y.mean())}


def _decisions(made: NDArray[np.uint8], y: NDArray[np.bool_]) -> dict[str, float]:
    """What is sent to review or blocked, and what is blocked: its share of all, recall and precision."""
    found: dict[str, float] = {}
    for least, name in enumerate(("review", "block"), 1):
        flagged = made >= least
        found[f"{name}_share"] = float(flagged.mean())
        if y.any():
            found |= {f"{name}_recall": float(flagged[y].mean()),
                      f"{name}_precision": float(y[flagged].mean()) if flagged.any() else 0.0}
    return found
