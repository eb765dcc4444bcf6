"""Backtests: what the models would have scored then, with labels as late as they are in life, by
the serving code.

A fold trains on rows whose labels had matured when its test begins, and scores the test in log
order; the online detector goes on learning there, each label once it is as old as the profile's
label delay (delayed prequential).
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from model.bundles.bundle import save
from model.bundles.manifest import Manifest, Training
from model.detectors.base import Array
from model.ensemble.thresholds import HeldOut, resolve
from model.evaluation.metrics import report
from model.evaluation.splits import Fold, score_fold
from model.history.fold import Labels, Log, Times, event_times
from model.history.fold import fold as fold_history
from model.progress import Progress
from model.training.fit import before_stack, fit_models, kind_of, require_both
from tidegate.errors import ConfigError
from tidegate.profile import Profile
from tidegate.profile.spec import DAY

_WEEK = 7 * DAY
_FEATURES = 0.2
"""Share of the work that computing the features is."""


class Plan(NamedTuple):
    """What is backtested: detectors by name; on folds by the first day of their training week, or
    else on a split.

    `blind`: no feature ever knows a verdict, as where nobody gives any; only models that learn from
    verdicts see them.
    """

    names: Sequence[str]
    days: Sequence[str] = ()
    split: float = 0.0
    weeks: int = 8
    seed: int = 0
    blind: bool = False


class Result(NamedTuple):
    """Scores f8[rows of the test] in (0, 1), and what `model.evaluation.metrics.report` says of
    those with a label.
    """

    fold: Fold
    scores: Array
    report: dict[str, float]


def backtest(
    profile: Profile, frame: pd.DataFrame, labels: Labels, plan: Plan, progress: Progress
) -> list[Result]:
    """Run every fold of `plan` on a history in time order; its features are computed once.

    `labels` i1[n]: 1 fraud, 0 legitimate, -1 unknown. Raises ConfigError when the history does not
    hold a fold, or too few verdicts to learn from, or a detector is unknown.
    """
    for name in plan.names:
        kind_of(profile, name)
    times = event_times(profile, frame)
    folds = [dated_fold(profile, times, day, plan.weeks) for day in plan.days] or [
        split_fold(profile, times, plan.split)
    ]
    values = fold_history(
        profile,
        frame,
        None if plan.blind else labels,
        lambda share: progress(_FEATURES * share, f"features of {len(frame):,} transactions"),
    )
    results = []
    for k, fold in enumerate(folds):
        part = _Part(
            progress,
            fold.name,
            _FEATURES + (1 - _FEATURES) * k / len(folds),
            (1 - _FEATURES) / len(folds),
        )
        scores = _run(profile, fold, Log(values, labels, times), plan, part)
        judged = labels[fold.test] >= 0
        results.append(Result(fold, scores, report(scores[judged], labels[fold.test][judged] == 1)))
    progress(1.0, "done")
    return results


def dated_fold(profile: Profile, times: Times, first_day: str, weeks: int) -> Fold:
    """The fold whose training week starts on `first_day` (YYYY-MM-DD): `weeks` weeks up to that
    week's end are learnt from, and the week that starts one label delay (in whole days) later is
    scored. `times` i8[n] us, sorted.

    Raises ConfigError when the data does not hold both weeks.
    """
    try:
        begin = date.fromisoformat(first_day)
    except ValueError as error:
        raise ConfigError(f"--fold {first_day!r}: expected a date such as 2018-07-25") from error
    end = (
        int(datetime(begin.year, begin.month, begin.day, tzinfo=UTC).timestamp()) * 1_000_000
        + _WEEK
    )
    test = end + -(-profile.label_delay_us // DAY) * DAY
    first, last, start, stop = np.searchsorted(
        times, [end - weeks * _WEEK, end, test, test + _WEEK]
    )
    if first == last or start == stop or times[-1] < test + _WEEK - DAY:
        held = f"{_day(times[0])} to {_day(times[-1])}" if len(times) else "no rows"
        raise ConfigError(
            f"--fold {first_day}: it learns from {_day(end - weeks * _WEEK)} to {_day(end - DAY)} "
            "and is "
            f"tested on {_day(test)} to {_day(test + _WEEK - DAY)}; the data holds {held}"
        )
    return Fold(first_day, slice(first, last), slice(start, stop))


def split_fold(profile: Profile, times: Times, share: float) -> Fold:
    """What comes after the first `share` of the rows is scored, and learnt from is what had a
    verdict by then: rows a label delay older than the first one scored. `times` i8[n] us, sorted;
    without a time field all rows before count.

    Raises ConfigError when a side is empty.
    """
    start = int(len(times) * share)
    if not (0 < share < 1 and start):
        raise ConfigError(
            f"--split {share:g}: expected a share between 0 and 1 that leaves rows on both sides"
        )
    learnt = (
        start
        if profile.time_field is None
        else int(np.searchsorted(times[:start], times[start] - profile.label_delay_us, "right"))
    )
    if not learnt:
        raise ConfigError(
            f"--split {share:g}: no verdict on the rows before is a label delay old by then"
        )
    return Fold(f"split-{share:g}", slice(0, learnt), slice(start, len(times)))


class _Part:
    """Progress of one fold as a part of the whole."""

    def __init__(self, progress: Progress, name: str, start: float, width: float) -> None:
        self._progress, self._name, self._start, self._width = progress, name, start, width

    def __call__(self, share: float, what: str) -> None:
        self._progress(self._start + self._width * share, f"{self._name}: {what}")


def _run(profile: Profile, fold: Fold, log: Log, plan: Plan, progress: Progress) -> Array:
    rows = np.arange(fold.fit.start, fold.fit.stop)[log.labels[fold.fit] >= 0]
    y = log.labels[rows] == 1
    cut = before_stack(len(rows))
    for part, words in ((y[:cut], "first 80%"), (y[cut:], "last 20%")):
        require_both(
            part, f"fold {fold.name}: the {words} of the rows with a verdict to learn from"
        )
    features = sorted(profile.features)
    x = np.column_stack([log.values[rows, profile.values.index(name)] for name in features])
    fitted = fit_models(
        profile,
        plan.names,
        x,
        y,
        x[cut:],
        plan.seed,
        lambda share, what: progress(0.9 * share, what),
    )
    held_out = HeldOut(fitted.held_out, log.times[rows[cut:]], fitted.ensemble.calibrated)
    training = Training(
        f"backtest {fold.name}",
        int(log.times[rows[0]]),
        int(log.times[rows[-1]]),
        [cut, len(rows) - cut],
        [int(y[:cut].sum()), int(y[cut:].sum())],
    )
    manifest = Manifest(
        profile.name,
        profile.hash.decode(),
        list(profile.values),
        features,
        list(plan.names),
        resolve(profile, held_out),
        training,
        {},
        {},
        time.time_ns() // 1000,
    )
    with tempfile.TemporaryDirectory(prefix="tidegate-backtest-") as folder:
        bundle = save(Path(folder), manifest, fitted.detectors, fitted.ensemble)
    progress(0.9, f"scoring {fold.test.stop - fold.test.start:,} transactions")
    return score_fold(profile, bundle, fold, log)


def _day(us: int) -> str:
    return datetime.fromtimestamp(int(us) // 1_000_000, UTC).date().isoformat()
