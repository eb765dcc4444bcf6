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
from model.evaluation.splits import Fold, score_fold
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
    """How many times the champion's share of frauds among the verdicts may be exceeded or
    undercut.
    """
    psi: float = 1.0
    """Largest population stability index of an input."""


class Check(msgspec.Struct):
    """One condition on the data: what was found, and what it must keep to."""

    name: str
    ok: bool
    found: str
    limit: str


class Report(msgspec.Struct):
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
    seconds: float = 0.0


class Parts(NamedTuple):
    """Rows with a mature verdict to learn from, and the rows of the comparison."""

    learnt: Indices
    test: slice


def mature(log: Log, label_delay_us: int) -> int:
    """How many rows are at least a label delay older than the newest."""
    return (
        int(np.searchsorted(log.times, log.times[-1] - label_delay_us, side="right"))
        if len(log.times)
        else 0
    )


def count_silence(log: Log, label_delay_us: int) -> Log:
    """The log with every mature row without a verdict taken as legitimate."""
    labels = log.labels.copy()
    old = labels[: mature(log, label_delay_us)]
    old[old < 0] = 0
    return log._replace(labels=labels)


def parts_of(log: Log, label_delay_us: int) -> Parts:
    """Cut the mature part of a log for learning and comparing."""
    end = mature(log, label_delay_us)
    verdicts = np.flatnonzero(log.labels[:end] >= 0)
    if not len(verdicts):
        return Parts(verdicts, slice(end, end))
    start = int(verdicts[int(len(verdicts) * _BEFORE_TEST)])
    known = (log.times[verdicts] + label_delay_us <= log.times[start]) & (verdicts < start)
    return Parts(verdicts[known], slice(start, end))


def checks_of(
    profile: Profile, champion: Bundle, data: Data, limits: Limits
) -> tuple[list[Check], dict[str, float]]:
    """Every condition on the data, and how far the features of the comparison's rows have moved
    (largest first).
    """
    log, parts = data.log, parts_of(data.log, profile.label_delay_us)
    cut = before_stack(len(parts.learnt))
    checks = [_share("rejected rows", data.rejected, data.read, limits.rejected)]
    checks += [
        _both(f"verdicts {what}", log.labels[rows])
        for what, rows in (
            ("to learn from", parts.learnt[:cut]),
            ("for the stack", parts.learnt[cut:]),
            ("to compare on", np.arange(parts.test.start, parts.test.stop)),
        )
    ]
    checks.append(_rate(champion, log.labels[parts.learnt], limits.label_rate))
    features = list(champion.feature_names)
    reference, rows = read_reference(champion.path), log.values[parts.test]
    if reference is None or not len(rows):
        return checks, {}
    moved = psi(reference, features, rows[:, [profile.values.index(name) for name in features]])
    return [
        *checks,
        _moved({name: moved[name] for name in moved if name in profile.inputs}, limits.psi),
    ], moved


def retrain(
    profile: Profile,
    champion: Bundle,
    data: Data,
    limits: Limits,
    out_dir: Path,
    found: Report,
    progress: Progress,
    seed: int = 0,
    on_quality: OnQuality = lambda _: None,
) -> Report:
    """Check, train, compare; fills in `found` and returns it. Outcome `promoted` says that the
    challenger should be.

    `on_quality` is told how good the champion, and then the challenger, was in the comparison.
    Raises ConfigError for a wrong model setting.
    """
    found.checks, moved = checks_of(profile, champion, data, limits)
    found.drift, found.margin = dict(list(moved.items())[:_SHOWN]), limits.margin
    if bad := [check for check in found.checks if not check.ok]:
        found.outcome = "bad_data"
        found.why = "; ".join(
            f"{check.name}: {check.found}, expected {check.limit}" for check in bad
        )
        return found
    log, parts = data.log, parts_of(data.log, profile.label_delay_us)
    judged = np.flatnonzero(log.labels[parts.test] >= 0) + parts.test.start
    challenger = fit_bundle(
        profile,
        data,
        parts.learnt,
        judged,
        out_dir,
        lambda share, what: progress(0.7 * share, what),
        seed,
    )
    found.challenger = challenger.hash
    found.test_from_us, found.test_to_us = (
        int(log.times[parts.test.start]),
        int(log.times[parts.test.stop - 1]),
    )
    progress(0.7, f"comparing on {len(judged):,} verdicts")
    old, new = (
        _scores(profile, bundle, log, parts.test)[judged - parts.test.start]
        for bundle in (champion, challenger)
    )
    y = log.labels[judged] == 1
    sides = [
        quality(name, scores, y, calibrated=bundle.ensemble.calibrated)
        for name, scores, bundle in (("champion", old, champion), ("challenger", new, challenger))
    ]
    found.champion_metrics, found.challenger_metrics = (side.metrics for side in sides)
    for side in sides:
        on_quality(side)
    progress(0.9, "bootstrap")
    return _decided(found, difference(old, new, y, data.groups[judged], seed))


def _decided(found: Report, gap: Difference) -> Report:
    found.difference = gap
    better = gap.low > found.margin
    found.outcome = "promoted" if better else "kept"
    found.why = (
        f"average precision differs by {gap.point:+.4f}, 95% between {gap.low:+.4f} and "
        f"{gap.high:+.4f}; "
        f"the lower end is {'above' if better else 'not above'} the margin {found.margin:g}"
    )
    return found


def _scores(profile: Profile, bundle: Bundle, log: Log, test: slice) -> NDArray[np.float64]:
    """What the bundle would have scored, its online model fed with the labels since its training as
    they matured.
    """
    if (
        profile.time_field is None and not log.times.any()
    ):  # an order without times: no label of the test matures in it
        hidden = log.labels.copy()
        hidden[test] = -1
        return score_fold(
            profile, bundle, Fold("test", slice(0, test.start), test), log._replace(labels=hidden)
        )
    learnt = int(np.searchsorted(log.times, bundle.manifest.training.to_us, side="right"))
    return score_fold(profile, bundle, Fold("test", slice(0, learnt), test), log)


def _share(name: str, part: int, whole: int, limit: float) -> Check:
    return Check(name, part <= limit * whole, f"{part:,} of {whole:,}", f"at most {limit:.1%}")


def _both(name: str, labels: NDArray[np.int8]) -> Check:
    frauds, others = int((labels == 1).sum()), int((labels == 0).sum())
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
