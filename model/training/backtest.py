"""Backtests: what the models would have scored in past weeks, by the serving code, with labels as
late as they are in life.

A split trains on rows whose labels had matured when its test begins, and scores the test in log
order; the online detector goes on learning there, each label once it is as old as the profile's
label delay (delayed prequential).
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import NamedTuple

import numpy as np

from model.bundles.bundle import Bundle, save
from model.bundles.manifest import Manifest, Training
from model.detectors.base import Array
from model.ensemble.thresholds import HeldOut, resolve
from model.evaluation.metrics import report
from model.evaluation.splits import Split, score_split
from model.history.fold import Log, Times, fold
from model.history.history import History
from model.progress import Progress
from model.training.fit import before_stack, fit_models, kind_of, require_both
from tidegate.clock import day_of, now_us
from tidegate.errors import ConfigError
from tidegate.profile import Profile
from tidegate.profile.spec import DAY

_WEEK = 7 * DAY
_FEATURES = 0.2
"""Share of the work that computing the features is."""


class BacktestPlan(NamedTuple):
    """What is backtested: detectors by name, on weeks or on one share of the rows.

    `days` are the first days of training weeks; without any, what comes after the share `split` is
    scored. `blind`: no feature ever knows a verdict, as where nobody gives any; only models that
    learn from verdicts see them.
    """

    names: Sequence[str]
    days: Sequence[str] = ()
    split: float = 0.0
    weeks: int = 8
    seed: int = 0
    blind: bool = False


class BacktestResult(NamedTuple):
    """Scores f8[rows of the test] in (0, 1), and what `model.evaluation.metrics.report` says of
    those with a label.
    """

    split: Split
    scores: Array
    report: dict[str, float]


def backtest(
    profile: Profile, history: History, plan: BacktestPlan, progress: Progress
) -> list[BacktestResult]:
    """Run every split of `plan` on a history in time order; its features are computed once.

    Raises ConfigError when the history does not hold a split, or too few verdicts to learn from, or
    a detector is unknown.
    """
    for name in plan.names:
        kind_of(profile, name)
    times, labels = history.times, history.labels
    if not (labels >= 0).any():
        raise ConfigError(
            f"{history.source} holds no verdicts to judge scores by: name their column by --label, "
            "or by history.label of the profile; only training can do without"
        )
    splits = [split_by_week(profile, times, day, plan.weeks) for day in plan.days]
    if not splits:
        splits = [split_by_share(profile, times, plan.split)]
    values = fold(
        profile,
        history,
        lambda share: progress(_FEATURES * share, f"features of {len(times):,} transactions"),
        blind=plan.blind,
    )
    log = Log(values, labels, times)
    width = (1 - _FEATURES) / len(splits)
    results = []
    for number, split in enumerate(splits):
        share_of_split = _SplitProgress(progress, split.name, _FEATURES + width * number, width)
        scores = _run(profile, split, log, plan, share_of_split)
        known = labels[split.test] >= 0
        figures = report(scores[known], labels[split.test][known] == 1)
        results.append(BacktestResult(split, scores, figures))
    progress(1.0, "done")
    return results


def split_by_week(profile: Profile, times: Times, first_day: str, weeks: int) -> Split:
    """The split whose training week starts on `first_day` (YYYY-MM-DD).

    `weeks` weeks up to that week's end are learnt from, and the week that starts one label delay
    (in whole days) later is scored. `times` i8[n] us, sorted. Raises ConfigError when the data does
    not hold both weeks.
    """
    try:
        begin = date.fromisoformat(first_day)
    except ValueError as error:
        raise ConfigError(f"--fold {first_day!r}: expected a date such as 2018-07-25") from error
    midnight = datetime(begin.year, begin.month, begin.day, tzinfo=UTC)
    end = int(midnight.timestamp()) * 1_000_000 + _WEEK
    test = end + -(-profile.label_delay_us // DAY) * DAY
    first, last, start, stop = np.searchsorted(
        times, [end - weeks * _WEEK, end, test, test + _WEEK]
    )
    if first == last or start == stop or times[-1] < test + _WEEK - DAY:
        held = f"{day_of(times[0])} to {day_of(times[-1])}" if len(times) else "no rows"
        raise ConfigError(
            f"--fold {first_day}: it learns from {day_of(end - weeks * _WEEK)} to "
            f"{day_of(end - DAY)} and is tested on {day_of(test)} to {day_of(test + _WEEK - DAY)}; "
            f"the data holds {held}"
        )
    return Split(first_day, slice(first, last), slice(start, stop))


def split_by_share(profile: Profile, times: Times, share: float) -> Split:
    """The split that scores what comes after the first `share` of the rows.

    It learns from what had a verdict by then: the rows a label delay older than the first one
    scored; without a time field all rows before it. `times` i8[n] us, sorted. Raises ConfigError
    when there is nothing to learn from, or nothing to score.
    """
    start = int(len(times) * share)
    if not (0 < share < 1 and start):
        raise ConfigError(
            f"--split {share:g}: expected a share between 0 and 1 that leaves rows on both sides"
        )
    learnt = start
    if profile.time_field is not None:
        known_us = times[start] - profile.label_delay_us
        learnt = int(np.searchsorted(times[:start], known_us, "right"))
    if not learnt:
        raise ConfigError(
            f"--split {share:g}: no verdict on the rows before is a label delay old by then"
        )
    return Split(f"split-{share:g}", slice(0, learnt), slice(start, len(times)))


class _SplitProgress:
    """Progress of one split as a share of the whole."""

    def __init__(self, progress: Progress, name: str, start: float, width: float) -> None:
        self._progress = progress
        self._name = name
        self._start = start
        self._width = width

    def __call__(self, share: float, what: str) -> None:
        self._progress(self._start + self._width * share, f"{self._name}: {what}")


def _run(profile: Profile, split: Split, log: Log, plan: BacktestPlan, progress: Progress) -> Array:
    """Train on what the split learns from, and score its test."""
    with tempfile.TemporaryDirectory(prefix="tidegate-backtest-") as folder:
        bundle = _fit(
            profile, split, log, plan, Path(folder), lambda share, what: progress(0.9 * share, what)
        )
    progress(0.9, f"scoring {split.test.stop - split.test.start:,} transactions")
    return score_split(profile, bundle, split, log)


def _fit(
    profile: Profile, split: Split, log: Log, plan: BacktestPlan, folder: Path, progress: Progress
) -> Bundle:
    rows = np.arange(split.fit.start, split.fit.stop)[log.labels[split.fit] >= 0]
    y = log.labels[rows] == 1
    cut = before_stack(len(rows))
    for frauds, words in ((y[:cut], "first 80%"), (y[cut:], "last 20%")):
        require_both(
            frauds, f"fold {split.name}: the {words} of the rows with a verdict to learn from"
        )
    features = sorted(profile.features)
    x = np.column_stack([log.values[rows, profile.values.index(name)] for name in features])
    fitted = fit_models(profile, plan.names, x, y, x[cut:], plan.seed, progress)
    held_out = HeldOut(fitted.held_out, log.times[rows[cut:]], fitted.ensemble.calibrated)
    manifest = Manifest(
        profile=profile.name,
        profile_hash=profile.hash.decode(),
        values=list(profile.values),
        features=features,
        detectors=list(plan.names),
        thresholds=resolve(profile, held_out),
        training=Training(
            source=f"backtest {split.name}",
            from_us=int(log.times[rows[0]]),
            to_us=int(log.times[rows[-1]]),
            rows=[cut, len(rows) - cut],
            frauds=[int(y[:cut].sum()), int(y[cut:].sum())],
        ),
        metrics={},
        files={},
        created_us=now_us(),
    )
    return save(folder, manifest, fitted.detectors, fitted.ensemble)
