"""Training: history through the serving operator; models learn its first part, a test measures them
on the rest.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from model.bundles.bundle import Bundle, save
from model.bundles.manifest import Manifest, Training
from model.detectors.base import Array, Detector
from model.drift.reference import reference_of
from model.ensemble.combiner import sigmoid
from model.ensemble.thresholds import HeldOut, decide, resolve, rule
from model.evaluation.metrics import Quality, metrics, quality
from model.history.fold import Log, event_times, fold, minor_units
from model.progress import Progress
from model.training.fit import FEWEST, before_stack, fit_models, kind_of, require_both
from tidegate.errors import ConfigError
from tidegate.profile import Profile

Rows = NDArray[np.intp]
OnQuality = Callable[[Quality], None]
"""Is told how good scores were on a test."""
_BEFORE_TEST = 0.85
"""Share of the verdicts before the test slice."""
_FEWEST_ROWS = 100
"""Rows that each slice needs where nothing is known to be fraud."""


def train(
    profile: Profile,
    frame: pd.DataFrame,
    labels: NDArray[np.int8],
    out_dir: Path,
    progress: Progress,
    seed: int = 0,
    on_quality: OnQuality = lambda _: None,
) -> Bundle:
    """A bundle below `out_dir` from a history in time order.

    `labels` i1[n]: 1 fraud, 0 legitimate, -1 nothing known (counts in windows, is not learnt from).
    `progress` is told the share done and what is done next, `on_quality` what the test found where
    there are verdicts. Raises ConfigError when the history holds too few of them.
    """
    parts = _slices(labels)
    _sufficient(profile, labels, *parts)
    progress(0.0, f"features of {len(frame):,} transactions")
    values = fold(profile, frame, labels)
    log = Log(values, labels, event_times(profile, frame))
    source = (
        f"simulate {profile.history.simulate}" if profile.history.simulate else profile.history.file
    )
    return fit_bundle(
        profile,
        log,
        parts[0],
        parts[1],
        source,
        out_dir,
        lambda share, what: progress(0.5 + 0.5 * share, what),
        seed,
        on_quality,
    )


def fit_bundle(
    profile: Profile,
    log: Log,
    learnt: Rows,
    test: Rows,
    source: str,
    out_dir: Path,
    progress: Progress,
    seed: int = 0,
    on_quality: OnQuality = lambda _: None,
) -> Bundle:
    """A bundle below `out_dir` from the rows `learnt`, measured on the rows `test`; both have
    verdicts, in log order.

    It keeps how each feature was distributed among all rows of the period it learnt from. Raises
    ConfigError.
    """
    features = sorted(profile.features)
    columns = [profile.values.index(name) for name in features]
    x, y = np.ascontiguousarray(log.values[learnt][:, columns]), log.labels[learnt] == 1
    held_out = slice(int(learnt[before_stack(len(learnt))]), int(learnt[-1]) + 1)
    fitted = fit_models(
        profile,
        profile.models.names,
        x,
        y,
        log.values[held_out][:, columns],
        seed,
        lambda share, what: progress(0.8 * share, what),
    )
    progress(0.8, "test")
    detectors, ensemble = fitted.detectors, fitted.ensemble
    margins = np.column_stack(
        [part.score(np.ascontiguousarray(log.values[test][:, columns])) for part in detectors]
    )
    thresholds = resolve(
        profile, HeldOut(fitted.held_out, log.times[held_out], ensemble.calibrated)
    )
    final, frauds = ensemble.combine(margins), log.labels[test] == 1
    found = _metrics(detectors, margins, final, frauds)
    found |= _decisions(
        decide(rule(thresholds), final, minor_units(profile, log.values[test])), frauds
    )
    manifest = Manifest(
        profile.name,
        profile.hash.decode(),
        list(profile.values),
        features,
        list(profile.models.names),
        thresholds,
        _training(source, log, learnt, test),
        found,
        {},
        time.time_ns() // 1000,
    )
    reference = reference_of(features, log.values[learnt[0] : learnt[-1] + 1][:, columns], final)
    bundle = save(out_dir, manifest, detectors, ensemble, reference)
    if frauds.any():
        on_quality(quality(bundle.hash, final, frauds, calibrated=ensemble.calibrated))
    progress(1.0, f"bundle {bundle.hash}")
    return bundle


def _slices(labels: NDArray[np.int8]) -> list[Rows]:
    """Rows with a verdict, by time: those learnt from, the test's. Without frauds all rows
    count.
    """
    verdicts = np.flatnonzero(labels >= 0) if (labels == 1).any() else np.arange(len(labels))
    return np.split(verdicts, [int(len(verdicts) * _BEFORE_TEST)])


def _sufficient(profile: Profile, labels: NDArray[np.int8], learnt: Rows, test: Rows) -> None:
    cut = before_stack(len(learnt))
    parts = (learnt[:cut], "first 68%"), (learnt[cut:], "next 17%"), (test, "last 15%")
    if not (labels == 1).any():
        _sufficient_without_verdicts(profile, min(len(rows) for rows, _ in parts))
        return
    for rows, what in parts:
        require_both(
            labels[rows] == 1,
            f"{profile.path}: history: the {what} of the transactions with a verdict",
        )


def _sufficient_without_verdicts(profile: Profile, fewest: int) -> None:
    learning = [name for name in profile.models.names if kind_of(profile, name).supervised]
    if learning:
        raise ConfigError(
            f"{profile.path}: history: nothing in it is known to be fraud, and "
            f"{', '.join(learning)} "
            f"learn from verdicts; training needs {FEWEST} frauds in each part, or only models "
            "that "
            "need none"
        )
    if fewest < _FEWEST_ROWS:
        raise ConfigError(
            f"{profile.path}: history: training needs {_FEWEST_ROWS} transactions in each part: "
            "give a "
            "longer history"
        )


def _training(source: str, log: Log, learnt: Rows, test: Rows) -> Training:
    cut = before_stack(len(learnt))
    parts = learnt[:cut], learnt[cut:], test
    return Training(
        source,
        int(log.times[learnt[0]]),
        int(log.times[learnt[-1]]),
        [len(rows) for rows in parts],
        [int((log.labels[rows] == 1).sum()) for rows in parts],
    )


def _metrics(
    detectors: Sequence[Detector], margins: Array, final: Array, y: NDArray[np.bool_]
) -> dict[str, float]:
    """On the test slice; only what is flagged can be counted where nothing is known to be fraud."""
    if not y.any():
        return {}
    found = metrics("", final, y)
    for k, part in enumerate(detectors):
        found |= metrics(f"{part.name}_", sigmoid(margins[:, k]), y)
    return found | {"base_rate": float(y.mean())}


def _decisions(made: NDArray[np.uint8], y: NDArray[np.bool_]) -> dict[str, float]:
    """What is sent to review or blocked, and what is blocked: its share of all, recall and
    precision.
    """
    found: dict[str, float] = {}
    for least, name in enumerate(("review", "block"), 1):
        flagged = made >= least
        found[f"{name}_share"] = float(flagged.mean())
        if y.any():
            found |= {
                f"{name}_recall": float(flagged[y].mean()),
                f"{name}_precision": float(y[flagged].mean()) if flagged.any() else 0.0,
            }
    return found
