"""Retraining: new data is checked, a challenger learns its older part and is compared with the
champion on the rest.

Only labels that have matured count. The comparison takes the newest fifth of them; the challenger
learns what had matured when that fifth begins, so that neither model has an advantage that it would
not have in life. Both are scored as a backtest does it: the online model of each goes on learning,
every label as late as it is.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from model.bundles.bundle import Bundle
from model.bundles.manifest import read_reference
from model.drift.reference import psi
from model.evaluation.confidence import Difference, difference
from model.evaluation.metrics import quality
from model.evaluation.splits import Split, score_split
from model.history.fold import Log
from model.progress import Progress
from model.training.fit import FEWEST, before_stack
from model.training.train import Data, Indices, OnQuality, fit_bundle
from tidegate.profile import Profile

Outcome = Literal["promoted", "kept", "bad_data"]
_BEFORE_TEST = 0.8
_SHOWN = 10


class Limits(NamedTuple):
    """What data must keep to, and by how much a challenger must be better."""

    margin: float = 0.0
    """The interval's lower end must lie above this difference in average precision."""
    rejected: float = 0.01
    """Largest share of rows that the API would refuse."""
    label_rate: float = 5.0
    """By which factor the share of frauds may lie above or below the champion's."""
    psi: float = 1.0
    """Largest population stability index of an input."""


class Check(msgspec.Struct):
    """One condition on the data: what was found, and what it must keep to."""

    name: str
    ok: bool
    found: str
    limit: str


class RetrainingReport(msgspec.Struct):
    """What a retraining found and did. Times in us; metrics as `model.evaluation.metrics.report`
    names them.
    """

    profile: str
    source: str
    champion: str
    started_us: int
    outcome: Outcome = "kept"
    why: str = ""
    challenger: str = ""
    checks: list[Check] = []
    drift: dict[str, float] = {}
    """The features that moved most, by population stability index."""
    test_from_us: int = 0
    test_to_us: int = 0
    champion_metrics: dict[str, float] = {}
    challenger_metrics: dict[str, float] = {}
    difference: Difference | None = None
    margin: float = 0.0
    reading: list[str] = []
    """What reading a file had to tell: of what was left out, and why."""
    seconds: float = 0.0


class MatureRows(NamedTuple):
    """Rows with a mature verdict to learn from, and the rows of the comparison."""

    learnt: Indices
    test: slice


def mature(log: Log, label_delay_us: int) -> int:
    """How many rows are at least a label delay older than the newest."""
    if not len(log.times):
        return 0
    return int(np.searchsorted(log.times, log.times[-1] - label_delay_us, side="right"))


def count_silence(log: Log, label_delay_us: int) -> Log:
    """The log with every mature row without a verdict taken as legitimate."""
    labels = log.labels.copy()
    old = labels[: mature(log, label_delay_us)]
    old[old < 0] = 0
    return log._replace(labels=labels)


def cut_mature(log: Log, label_delay_us: int) -> MatureRows:
    """Cut the mature part of a log for learning and comparing."""
    end = mature(log, label_delay_us)
    verdicts = np.flatnonzero(log.labels[:end] >= 0)
    if not len(verdicts):
        return MatureRows(verdicts, slice(end, end))
    start = int(verdicts[int(len(verdicts) * _BEFORE_TEST)])
    known = (log.times[verdicts] + label_delay_us <= log.times[start]) & (verdicts < start)
    return MatureRows(verdicts[known], slice(start, end))


def checks_of(
    profile: Profile, champion: Bundle, data: Data, limits: Limits
) -> tuple[list[Check], dict[str, float]]:
    """Every condition on the data, and how far each feature has moved, largest first."""
    log = data.log
    rows = cut_mature(log, profile.label_delay_us)
    cut = before_stack(len(rows.learnt))
    compared = np.arange(rows.test.start, rows.test.stop)
    checks = [
        _share("rejected rows", data.rejected, data.read, limits.rejected),
        _both("verdicts to learn from", log.labels[rows.learnt[:cut]]),
        _both("verdicts for the stack", log.labels[rows.learnt[cut:]]),
        _both("verdicts to compare on", log.labels[compared]),
        _rate(champion, log.labels[rows.learnt], limits.label_rate),
    ]
    reference = read_reference(champion.path)
    if reference is None or not len(compared):
        return checks, {}
    features = list(champion.feature_names)
    columns = [profile.values.index(name) for name in features]
    moved = psi(reference, features, log.values[rows.test][:, columns])
    inputs = {name: moved[name] for name in moved if name in profile.inputs}
    checks.append(_moved(inputs, limits.psi))
    return checks, moved


def retrain(
    profile: Profile,
    champion: Bundle,
    data: Data,
    limits: Limits,
    out_dir: Path,
    report: RetrainingReport,
    progress: Progress,
    seed: int = 0,
    on_quality: OnQuality = lambda _: None,
) -> RetrainingReport:
    """Check, train, compare; fills in `report` and returns it. Outcome `promoted` says that the
    challenger should be.

    `on_quality` is told how good the champion, and then the challenger, was in the comparison.
    Raises ConfigError for a wrong model setting.
    """
    report.checks, moved = checks_of(profile, champion, data, limits)
    report.drift = dict(list(moved.items())[:_SHOWN])
    report.margin = limits.margin
    if failed := [check for check in report.checks if not check.ok]:
        report.outcome = "bad_data"
        report.why = "; ".join(
            f"{check.name}: {check.found}, expected {check.limit}" for check in failed
        )
        return report
    log = data.log
    learnt, test = cut_mature(log, profile.label_delay_us)
    judged = np.flatnonzero(log.labels[test] >= 0) + test.start
    challenger = fit_bundle(
        profile,
        data,
        learnt,
        judged,
        out_dir,
        lambda share, what: progress(0.7 * share, what),
        seed,
    )
    report.challenger = challenger.hash
    report.test_from_us = int(log.times[test.start])
    report.test_to_us = int(log.times[test.stop - 1])
    progress(0.7, f"comparing on {len(judged):,} verdicts")
    scored = _score_both(profile, champion, challenger, data, test)
    champion_quality = quality(
        "champion", scored.champion, scored.y, calibrated=champion.ensemble.calibrated
    )
    challenger_quality = quality(
        "challenger", scored.challenger, scored.y, calibrated=challenger.ensemble.calibrated
    )
    report.champion_metrics = champion_quality.metrics
    report.challenger_metrics = challenger_quality.metrics
    on_quality(champion_quality)
    on_quality(challenger_quality)
    progress(0.9, "bootstrap")
    _decide(report, difference(*scored, seed))
    return report


class _Scored(NamedTuple):
    """The rows of the comparison that have a verdict: both scores f8[n], outcome and account."""

    champion: NDArray[np.float64]
    challenger: NDArray[np.float64]
    y: NDArray[np.bool_]
    groups: NDArray[np.int64]


def _score_both(
    profile: Profile, champion: Bundle, challenger: Bundle, data: Data, test: slice
) -> _Scored:
    labels = data.log.labels[test]
    known = labels >= 0
    return _Scored(
        _scores(profile, champion, data.log, test)[known],
        _scores(profile, challenger, data.log, test)[known],
        labels[known] == 1,
        data.groups[test][known],
    )


def _decide(report: RetrainingReport, gap: Difference) -> None:
    report.difference = gap
    better = gap.low > report.margin
    report.outcome = "promoted" if better else "kept"
    report.why = (
        f"average precision differs by {gap.point:+.4f}, 95% between {gap.low:+.4f} and "
        f"{gap.high:+.4f}; the lower end is {'above' if better else 'not above'} the margin "
        f"{report.margin:g}"
    )


def _scores(profile: Profile, bundle: Bundle, log: Log, test: slice) -> NDArray[np.float64]:
    """What the bundle would have scored, its online model learning the labels as they mature."""
    if profile.time_field is None and not log.times.any():
        # An order without times: no label of the test matures in it.
        labels = log.labels.copy()
        labels[test] = -1
        learnt = test.start
        log = log._replace(labels=labels)
    else:
        learnt = int(np.searchsorted(log.times, bundle.manifest.training.to_us, side="right"))
    return score_split(profile, bundle, Split("test", slice(0, learnt), test), log)


def _share(name: str, count: int, whole: int, limit: float) -> Check:
    return Check(name, count <= limit * whole, f"{count:,} of {whole:,}", f"at most {limit:.1%}")


def _both(name: str, labels: NDArray[np.int8]) -> Check:
    frauds = int((labels == 1).sum())
    others = int((labels == 0).sum())
    return Check(
        name,
        min(frauds, others) >= FEWEST,
        f"{frauds:,} frauds, {others:,} others",
        f"at least {FEWEST} of each",
    )


def _rate(champion: Bundle, labels: NDArray[np.int8], limit: float) -> Check:
    training = champion.manifest.training
    then = sum(training.frauds) / max(1, sum(training.rows))
    now = float((labels == 1).mean()) if len(labels) else 0.0
    return Check(
        "share of frauds",
        then / limit <= now <= then * limit,
        f"{now:.3%} of the verdicts",
        f"{then / limit:.3%} to {then * limit:.3%} (the champion learnt {then:.3%})",
    )


def _moved(inputs: dict[str, float], limit: float) -> Check:
    name, most = next(iter(inputs.items()), ("no input", 0.0))
    return Check(
        "drift of the inputs",
        most <= limit,
        f"{name} has a PSI of {most:.2f}",
        f"at most {limit:g}",
    )
