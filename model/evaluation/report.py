"""What a challenger's decisions would have been worth, beside the champion's, on rows whose
verdicts are known by now.

A row without a verdict counts as neither fraud nor legitimate: it is in the decisions, and in no
other figure.
"""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray

from model.evaluation.decide_again import Cases, DecidedCases, Decisions
from model.evaluation.disagreements import Disagreements, disagreements
from model.evaluation.judged import Judged, decision_counts, judged
from model.evaluation.metrics import Quality, quality
from model.evaluation.shadow import reviews
from tidegate.profile import Profile

_REVIEW, _BLOCK = 1, 2
Flags = NDArray[np.bool_]


class Confusion(msgspec.Struct):
    """Rows with a verdict by outcome.

    Precision is None when none is flagged, recall when there is no fraud.
    """

    flagged_frauds: int
    flagged_legitimate: int
    passed_frauds: int
    passed_legitimate: int
    precision: float | None
    recall: float | None


class Reviews(msgspec.Struct):
    """When the highest scores of each day are reviewed: what that finds, and which share of all
    frauds it is.
    """

    per_day: int
    reviewed: int
    verdicts: int
    frauds: int
    precision: float | None
    recall: float | None


class Money(msgspec.Struct):
    """In the money field's units: frauds flagged, frauds approved, legitimate ones blocked."""

    saved: float
    lost: float
    turned_away: float


class Figures(Quality):
    """How good a model's scores and decisions are.

    `good_customers_blocked`: accounts (transactions where there are none) with a legitimate
    transaction blocked.
    """

    thresholds: dict[str, float]
    decisions: dict[str, int]
    at_review: Confusion
    at_block: Confusion
    reviews: Reviews
    money: Money | None
    good_customers_blocked: int
    good_transactions_blocked: int


class BacktestReport(msgspec.Struct):
    """All that a backtest of a challenger found.

    `read` messages, of which `rejected` are no transactions of the profile and `duplicates` were
    sent again; `rows` were decided, and `verdicts` of them are known. Times in us.
    """

    profile: str
    source: str
    read: int
    rejected: int
    duplicates: int
    rows: int
    verdicts: int
    frauds: int
    from_us: int
    to_us: int
    challenger: Figures = msgspec.field(name="candidate")  # the name in report.json
    champion: Figures
    disagreements: Disagreements
    warnings: list[str]
    reading: list[str] = []
    """What reading a file had to tell: of what was left out, and why."""
    seconds: float = 0.0
    per_second: float = 0.0


def compare(
    profile: Profile,
    cases: Cases,
    champion: DecidedCases,
    challenger: DecidedCases,
    capacity: int,
) -> BacktestReport:
    """Everything about the two; `capacity` is how many transactions a day are reviewed."""
    rows = judged(profile, cases)
    known = rows.labels >= 0
    return BacktestReport(
        f"{profile.name} {profile.hash.decode()}",
        cases.source,
        cases.read,
        cases.rejected,
        cases.duplicates,
        len(rows.times),
        int(known.sum()),
        int((rows.labels == 1).sum()),
        int(rows.times[0]),
        int(rows.times[-1]),
        figures(challenger, rows, capacity),
        figures(champion, rows, capacity),
        disagreements(champion, challenger, cases, rows),
        _warnings(challenger, champion, int(known.sum())),
        list(cases.told),
    )


def _warnings(challenger: DecidedCases, champion: DecidedCases, verdicts: int) -> list[str]:
    warnings = []
    if not verdicts:
        warnings.append("no verdict is known of these transactions: only decisions can be compared")
    for decided in (challenger, champion):
        if decided.seen:
            warnings.append(
                f"{decided.name} was trained on the time of {decided.seen:,} of these "
                "transactions: its figures are better than they would be on new ones"
            )
        warnings += [
            f"{decided.name} decided without its detector {name}, which failed: {error}"
            for name, error in (decided.failures or {}).items()
        ]
    return list(dict.fromkeys(warnings))


def figures(decided: DecidedCases, rows: Judged, capacity: int) -> Figures:
    """All that is known of these decisions, and what `capacity` reviews a day would find."""
    known = rows.labels >= 0
    y = rows.labels[known] == 1
    ranking = quality(decided.name, decided.scores[known], y, calibrated=decided.calibrated)
    blocked = np.flatnonzero((rows.labels == 0) & (decided.decisions >= _BLOCK)).tolist()
    return Figures(
        ranking.name,
        ranking.metrics,
        ranking.calibration,
        ranking.curves,
        dict(decided.thresholds),
        decision_counts(decided.decisions),
        _confusion(decided.decisions[known] >= _REVIEW, y),
        _confusion(decided.decisions[known] >= _BLOCK, y),
        _reviews(decided, rows, capacity, int(y.sum())),
        _money(decided.decisions, rows),
        len({rows.accounts[row] for row in blocked}) if rows.accounts else len(blocked),
        len(blocked),
    )


def _confusion(flagged: Flags, y: Flags) -> Confusion:
    hits = int((flagged & y).sum())
    false_alarms = int((flagged & ~y).sum())
    missed = int((~flagged & y).sum())
    passed = int((~flagged & ~y).sum())
    precision = _share(hits, hits + false_alarms)
    recall = _share(hits, hits + missed)
    return Confusion(hits, false_alarms, missed, passed, precision, recall)


def _reviews(decided: DecidedCases, rows: Judged, capacity: int, frauds: int) -> Reviews:
    result = reviews(rows.times, rows.labels, decided.scores, capacity)
    return Reviews(capacity, *result, _share(result.frauds, frauds))


def _money(decisions: Decisions, rows: Judged) -> Money | None:
    if not rows.units:
        return None
    fraud = rows.labels == 1
    legitimate = rows.labels == 0

    def total(chosen: Flags) -> float:
        amounts: list[int] = rows.amounts[chosen].tolist()  # whose sum may not fit a word
        return sum(amounts) / rows.units

    return Money(
        total(fraud & (decisions >= _REVIEW)),
        total(fraud & (decisions < _REVIEW)),
        total(legitimate & (decisions >= _BLOCK)),
    )


def _share(count: int, whole: int) -> float | None:
    return count / whole if whole else None
