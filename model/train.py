"""Training: history through the serving operator; models learn its first part, a test measures them on the rest."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from model.bundle import Bundle, Manifest, Training, save
from model.detectors.base import Array, Detector
from model.ensemble import Ensemble, sigmoid
from model.evaluate import metrics
from model.fit import Progress, before_stack, fit_models, require_both
from model.history import fold
from tidegate.profile import Profile

_BEFORE_TEST = 0.85
"""Share of the verdicts before the test slice."""


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
    learnt, test = np.concatenate(parts[:2]), parts[2]
    detectors, ensemble = fit_models(profile, profile.models.names, x[learnt], labels[learnt] == 1, seed,
                                     lambda share, what: progress(0.5 + 0.4 * share, what))
    progress(0.9, "test")
    margins = np.column_stack([part.score(x[test]) for part in detectors])
    found = _metrics(profile, detectors, margins, ensemble, labels[test] == 1)
    manifest = Manifest(
        profile.name, profile.hash.decode(), list(profile.values), features, list(profile.models.names),
        {"review": profile.models.thresholds.review, "block": profile.models.thresholds.block},
        _training(profile, frame, labels, parts), found, {}, time.time_ns() // 1000)
    bundle = save(out_dir, manifest, detectors, ensemble)
    progress(1.0, f"bundle {bundle.hash}")
    return bundle


def _slices(labels: NDArray[np.int8]) -> list[NDArray[np.intp]]:
    """Rows with a verdict, by time: those before the stack's, the stack's, the test's."""
    verdicts = np.flatnonzero(labels >= 0)
    learnt = int(len(verdicts) * _BEFORE_TEST)
    return np.split(verdicts, [before_stack(learnt), learnt])


def _sufficient(profile: Profile, labels: NDArray[np.int8], parts: Sequence[NDArray[np.intp]]) -> None:
    for rows, what in zip(parts, ("first 68%", "next 17%", "last 15%"), strict=True):
        require_both(labels[rows] == 1, f"{profile.path}: history: the {what} of the transactions with a verdict")


def _training(profile: Profile, frame: pd.DataFrame, labels: NDArray[np.int8],
              parts: Sequence[NDArray[np.intp]]) -> Training:
    source = f"simulate {profile.history.simulate}" if profile.history.simulate else profile.history.file
    first, last = 0, 0
    if profile.time_field and isinstance(frame[profile.time_field].dtype, pd.DatetimeTZDtype | np.dtype):
        times = pd.to_datetime(frame[profile.time_field], utc=True)
        first, last = (int(moment.value) // 1000 for moment in (times.min(), times.max()))
    return Training(source, first, last, [len(rows) for rows in parts],
                    [int((labels[rows] == 1).sum()) for rows in parts])


def _metrics(profile: Profile, detectors: Sequence[Detector], margins: Array, ensemble: Ensemble,
             y: NDArray[np.bool_]) -> dict[str, float]:
    final = ensemble.combine(margins)
    found = metrics("", final, y)
    for k, part in enumerate(detectors):
        found |= metrics(f"{part.name}_", sigmoid(margins[:, k]), y)
    found["base_rate"] = float(y.mean())
    for name in ("review", "block"):
        flagged = final >= getattr(profile.models.thresholds, name)
        found |= {f"{name}_share": float(flagged.mean()), f"{name}_recall": float(flagged[y].mean()),
                  f"{name}_precision": float(y[flagged].mean()) if flagged.any() else 0.0}
    return found
