"""Training: a history goes through the serving operator, the models learn its first part, and a
test measures them on the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from model.bundles.bundle import Bundle, save
from model.bundles.manifest import QUALITY_FILE, Manifest, Training
from model.detectors.base import Array, Detector
from model.drift.reference import reference_of
from model.ensemble.combiner import sigmoid
from model.ensemble.thresholds import HeldOut, decide, resolve, rule
from model.evaluation.confidence import intervals
from model.evaluation.metrics import Quality, metrics, quality
from model.history.fold import Log, fold, minor_units
from model.history.history import History
from model.progress import Progress
from model.training.fit import (
    FEWEST,
    before_stack,
    fit_models,
    kind_of,
    margins_of,
    require_both,
)
from tidegate.clock import now_us
from tidegate.errors import ConfigError
from tidegate.profile import Profile

Indices = NDArray[np.intp]
"""Numbers of rows in a log, ascending."""
Tunings = dict[str, dict[str, float]]
"""Settings by model that trials chose; the manifest keeps them."""
OnQuality = Callable[[Quality], None]
"""Is told how good scores were on a test."""
_BEFORE_TEST = 0.85
"""Share of the verdicts before the test slice."""
_FEWEST_ROWS = 100
"""Rows that each slice needs where nothing is known to be fraud."""


class Data(NamedTuple):
    """Rows in time order; `groups` i8[n] says whose each is (the account), `source` their origin.

    `read` counts the rows before the `rejected` ones were left out; `told` is what reading had to
    tell.
    """

    log: Log
    groups: NDArray[np.int64]
    source: str
    read: int
    rejected: int = 0
    told: tuple[str, ...] = ()


def train(
    profile: Profile,
    history: History,
    out_dir: Path,
    progress: Progress,
    seed: int = 0,
    on_quality: OnQuality = lambda _: None,
    tuned: Tunings | None = None,
) -> Bundle:
    """A bundle below `out_dir` from a history in time order.

    Rows of which nothing is known count in windows, and are not learnt from. `progress` is told the
    share done and what is done next, `on_quality` what the test found where there are verdicts.
    Raises ConfigError when the history holds too few of them.
    """
    learnt, test = learnt_and_test(history.labels)
    _sufficient(profile, history.labels, learnt, test)
    progress(0.0, f"features of {len(history.times):,} transactions")
    log = Log(fold(profile, history), history.labels, history.times)
    return fit_bundle(
        profile,
        Data(log, history.groups, history.source, len(history.times)),
        learnt,
        test,
        out_dir,
        lambda share, what: progress(0.5 + 0.5 * share, what),
        seed,
        on_quality,
        tuned,
    )


def fit_bundle(
    profile: Profile,
    data: Data,
    learnt: Indices,
    test: Indices,
    out_dir: Path,
    progress: Progress,
    seed: int = 0,
    on_quality: OnQuality = lambda _: None,
    tuned: Tunings | None = None,
) -> Bundle:
    """A bundle below `out_dir` from the rows `learnt`, measured on the rows `test`.

    Both have verdicts. It keeps how each feature was distributed among all rows of the period it
    learnt from. Raises ConfigError.
    """
    log = data.log
    features = sorted(profile.features)
    columns = [profile.values.index(name) for name in features]
    held_out = slice(int(learnt[before_stack(len(learnt))]), int(learnt[-1]) + 1)
    fitted = fit_models(
        profile,
        profile.models.names,
        np.ascontiguousarray(log.values[learnt][:, columns]),
        log.labels[learnt] == 1,
        log.values[held_out][:, columns],
        seed,
        lambda share, what: progress(0.8 * share, what),
    )
    progress(0.8, "test")
    ensemble = fitted.ensemble
    margins = margins_of(fitted.detectors, log.values[test][:, columns])
    final = ensemble.combine(margins)
    frauds = log.labels[test] == 1
    thresholds = resolve(
        profile, HeldOut(fitted.held_out, log.times[held_out], ensemble.calibrated)
    )
    decisions = decide(rule(thresholds), final, minor_units(profile, log.values[test]))
    manifest = Manifest(
        profile=profile.name,
        profile_hash=profile.hash.decode(),
        values=list(profile.values),
        features=features,
        detectors=list(profile.models.names),
        thresholds=thresholds,
        training=_training(data.source, log, learnt, test),
        metrics=_ranking(fitted.detectors, margins, final, frauds, data.groups[test])
        | _decisions(decisions, frauds),
        files={},
        created_us=now_us(),
        tuned=tuned or msgspec.UNSET,
    )
    reference = reference_of(features, log.values[learnt[0] : learnt[-1] + 1][:, columns], final)
    found = quality("", final, frauds, calibrated=ensemble.calibrated) if frauds.any() else None
    beside = {QUALITY_FILE: msgspec.json.encode(found)} if found else {}
    bundle = save(out_dir, manifest, fitted.detectors, ensemble, reference, beside)
    if found:
        on_quality(msgspec.structs.replace(found, name=bundle.hash))
    progress(1.0, f"bundle {bundle.hash}")
    return bundle


def learnt_and_test(labels: NDArray[np.int8]) -> tuple[Indices, Indices]:
    """Rows with a verdict (all rows where none is fraud): those learnt from, and the test's."""
    rows = np.flatnonzero(labels >= 0) if (labels == 1).any() else np.arange(len(labels))
    cut = int(len(rows) * _BEFORE_TEST)
    return rows[:cut], rows[cut:]


def _sufficient(profile: Profile, labels: NDArray[np.int8], learnt: Indices, test: Indices) -> None:
    cut = before_stack(len(learnt))
    slices = (learnt[:cut], "first 68%"), (learnt[cut:], "next 17%"), (test, "last 15%")
    if not (labels == 1).any():
        _sufficient_without_verdicts(profile, min(len(rows) for rows, _ in slices))
        return
    for rows, which in slices:
        require_both(
            labels[rows] == 1,
            f"{profile.path}: history: the {which} of the transactions with a verdict",
        )


def _sufficient_without_verdicts(profile: Profile, fewest: int) -> None:
    supervised = [name for name in profile.models.names if kind_of(profile, name).supervised]
    if supervised:
        raise ConfigError(
            f"{profile.path}: history: nothing in it is known to be fraud, and training "
            f"{', '.join(supervised)} needs {FEWEST} frauds in each part; leave only models that "
            "need no verdicts, or name the column with the verdicts by --label"
        )
    if fewest < _FEWEST_ROWS:
        raise ConfigError(
            f"{profile.path}: history: training needs {_FEWEST_ROWS} transactions in each part: "
            "give a longer history"
        )


def _training(source: str, log: Log, learnt: Indices, test: Indices) -> Training:
    cut = before_stack(len(learnt))
    slices = learnt[:cut], learnt[cut:], test
    return Training(
        source,
        int(log.times[learnt[0]]),
        int(log.times[learnt[-1]]),
        [len(rows) for rows in slices],
        [int((log.labels[rows] == 1).sum()) for rows in slices],
    )


def _ranking(
    detectors: Sequence[Detector],
    margins: Array,
    final: Array,
    y: NDArray[np.bool_],
    groups: NDArray[np.int64],
) -> dict[str, float]:
    """How well the final score and each detector rank the test's rows, and where the final score's
    AUC and average precision lie at 95%; nothing where no row is known to be fraud.
    """
    if not y.any():
        return {}
    result = metrics("", final, y)
    of_auc, of_precision = intervals(final, y, groups)
    result["auc_low"], result["auc_high"] = of_auc
    result["average_precision_low"], result["average_precision_high"] = of_precision
    for index, detector in enumerate(detectors):
        result |= metrics(f"{detector.name}_", sigmoid(margins[:, index]), y)
    return result | {"base_rate": float(y.mean())}


def _decisions(decisions: NDArray[np.uint8], y: NDArray[np.bool_]) -> dict[str, float]:
    """Share, recall and precision of what is flagged (review or block), and of what is blocked."""
    result: dict[str, float] = {}
    for least, name in enumerate(("review", "block"), 1):
        flagged = decisions >= least
        result[f"{name}_share"] = float(flagged.mean())
        if y.any():
            result[f"{name}_recall"] = float(flagged[y].mean())
            result[f"{name}_precision"] = float(y[flagged].mean()) if flagged.any() else 0.0
    return result
