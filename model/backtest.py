"""Backtests: what the models would have scored then, with labels as late as they are in life, by the serving code.

A fold trains on rows whose labels had matured when its test begins, and scores the test in log order; the online
detector goes on learning there, each label once it is as old as the profile's label delay (delayed prequential).
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from model.bundle import Bundle, Manifest, Training, save
from model.detectors.base import Array
from model.fit import Progress, before_stack, fit_models, require_both
from tidegate.errors import ConfigError
from tidegate.profile import Profile
from tidegate.profile.spec import DAY

_WEEK = 7 * DAY
_STEP = 500
"""Rows scored with the same online weights, as a scorer does between two batches."""
Times = NDArray[np.int64]
Labels = NDArray[np.int8]


class Fold(NamedTuple):
    """Rows to learn from, and rows to score."""

    name: str
    fit: slice
    test: slice


class Settings(NamedTuple):
    """What is backtested: detectors by name, all of the profile's or others, and their seed."""

    names: Sequence[str]
    seed: int = 0


def dated_fold(profile: Profile, times: Times, first_day: str, weeks: int) -> Fold:
    """The fold whose training week starts on `first_day` (YYYY-MM-DD): `weeks` weeks up to that week's end are learnt
    from, and the week that starts one label delay (in whole days) later is scored. `times` i8[n] us, sorted.

    Raises ConfigError when the data does not hold both weeks.
    """
    try:
        begin = date.fromisoformat(first_day)
    except ValueError as error:
        raise ConfigError(f"--fold {first_day!r}: expected a date such as 2018-07-25") from error
    week = int(datetime(begin.year, begin.month, begin.day, tzinfo=UTC).timestamp()) * 1_000_000
    delay = -(-profile.label_delay_us // DAY) * DAY
    test = week + _WEEK + delay
    if not len(times) or times[0] >= week + _WEEK or times[-1] < test + _WEEK - DAY:
        span = f"{_day(times[0])} to {_day(times[-1])}" if len(times) else "no rows"
        raise ConfigError(f"--fold {first_day}: it learns from the week before {_day(week + _WEEK)} and is tested on "
                          f"{_day(test)} to {_day(test + _WEEK - DAY)}; the data holds {span}")
    first, last, start, stop = np.searchsorted(times, [week - (weeks - 1) * _WEEK, week + _WEEK, test, test + _WEEK])
    return Fold(first_day, slice(first, last), slice(start, stop))


def split_fold(profile: Profile, times: Times, share: float) -> Fold:
    """The first `share` of the rows is learnt from, as far as its labels have matured by then; the rest is scored."""
    start = int(len(times) * share)
    if not 0 < start < len(times):
        raise ConfigError(f"--split {share:g}: expected a share between 0 and 1 that leaves rows on both sides")
    last = np.searchsorted(times, times[start] - profile.label_delay_us, "right")
    return Fold(f"split-{share:g}", slice(0, min(int(last), start)), slice(start, len(times)))


def run(profile: Profile, fold: Fold, values: Array, labels: Labels, times: Times, what: Settings,
        progress: Progress) -> Array:
    """Scores f8[rows of the test] in (0, 1) of a model fitted for this fold.

    `values` f8[n, len(profile.values)], `labels` i1[n] (1 fraud, 0 legitimate, -1 unknown) and `times` i8[n] us are
    the whole log. Raises ConfigError when the rows to learn from hold too few verdicts.
    """
    rows = np.arange(fold.fit.start, fold.fit.stop)[labels[fold.fit] >= 0]
    y = labels[rows] == 1
    cut = before_stack(len(rows))
    for part, words in ((y[:cut], "first 80%"), (y[cut:], "last 20%")):
        require_both(part, f"fold {fold.name}: the {words} of the rows to learn from that have a matured verdict")
    features = sorted(profile.features)
    columns = [profile.values.index(name) for name in features]
    fitted = fit_models(profile, what.names, np.ascontiguousarray(values[np.ix_(rows, columns)]), y, what.seed,
                        lambda share, words: progress(0.9 * share, words))
    training = Training(f"backtest {fold.name}", int(times[rows[0]]), int(times[rows[-1]]),
                        [cut, len(rows) - cut], [int(y[:cut].sum()), int(y[cut:].sum())])
    manifest = Manifest(profile.name, profile.hash.decode(), list(profile.values), features, list(what.names),
                        {"review": profile.models.thresholds.review, "block": profile.models.thresholds.block},
                        training, {}, {}, time.time_ns() // 1000)
    with tempfile.TemporaryDirectory(prefix="tidegate-backtest-") as folder:
        bundle = save(Path(folder), manifest, *fitted)
    progress(0.9, f"scoring {fold.test.stop - fold.test.start:,} transactions")
    return _score(profile, bundle, fold, values, labels, times)


def _score(profile: Profile, bundle: Bundle, fold: Fold, values: Array, labels: Labels, times: Times) -> Array:
    """Score and learn in turns: labels count once they are a label delay old, in log order."""
    out = np.empty(fold.test.stop - fold.test.start)
    params = bundle.online.params.copy() if bundle.online else None
    learnt = fold.fit.stop
    for start in range(fold.test.start, fold.test.stop, _STEP):
        stop = min(start + _STEP, fold.test.stop)
        if bundle.online is not None and params is not None:
            mature = max(learnt, int(np.searchsorted(times, times[start] - profile.label_delay_us, "right")))
            rows = np.arange(learnt, mature)[labels[learnt:mature] >= 0]
            bundle.online.learn(params, bundle.inputs(values[rows]), labels[rows] == 1)
            learnt = mature
        out[start - fold.test.start:stop - fold.test.start] = bundle.score(values[start:stop], params).final
    return out


def _day(us: int) -> str:
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=int(us))).date().isoformat()
