"""What a candidate's decisions would have been worth, beside the champion's, on rows whose verdicts
are known by now.

A row without a verdict counts as neither fraud nor legitimate: it is in the decisions, and in no
other figure.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from model.evaluation.decide_again import Cases, Decisions, Side
from model.evaluation.metrics import Quality, quality
from model.evaluation.shadow import reviews
from tidegate.messages.frames import DECISIONS
from tidegate.profile import Profile

_REVIEW, _BLOCK = 1, 2
_EXAMPLES = 10
Flags = NDArray[np.bool_]


class Confusion(msgspec.Struct):
    """Rows with a verdict by outcome; precision is None when none is flagged, recall when there is
    no fraud.
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
    """In the money field's units: frauds sent to review or blocked, frauds approved, legitimate
    ones blocked.
    """

    saved: float
    lost: float
    turned_away: float


class Figures(Quality):
    """How good one side's scores and decisions are.

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


class Opinion(msgspec.Struct):
    """What one side says of an example; the reasons in words, where it flags it."""

    decision: str
    score: float
    reasons: list[str]


class Example(msgspec.Struct):
    """A transaction that the two decide differently. `amount` in units; `fraud` None: no
    verdict.
    """

    transaction_id: str
    account: str
    time_us: int
    amount: float | None
    fraud: bool | None
    champion: Opinion
    candidate: Opinion


class Disagreements(msgspec.Struct):
    """Rows by the champion's decision and then the candidate's, and those where their scores differ
    most.
    """

    rows: int
    counts: dict[str, dict[str, int]]
    examples: list[Example]


class Report(msgspec.Struct):
    """All that a backtest of a candidate found. `read` messages, of which `rejected` are no
    transactions of the profile and `duplicates` were sent again; `rows` were decided, and
    `verdicts` of them are known. Times in us.
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
    candidate: Figures
    champion: Figures
    disagreements: Disagreements
    warnings: list[str]
    seconds: float = 0.0
    per_second: float = 0.0


class Judged(NamedTuple):
    """The rows that were decided, as arrays: times i8[n] us, amounts i8[n] in minor units, verdicts
    i1[n], accounts.
    """

    times: NDArray[np.int64]
    amounts: NDArray[np.int64]
    labels: NDArray[np.int8]
    accounts: Sequence[str]
    units: float
    """Minor units in one unit; 0 where the profile has no money."""


def judged(profile: Profile, cases: Cases) -> Judged:
    """The rows of `cases` that are decided again."""
    units = 10.0**profile.decimals if profile.money_field else 0.0
    return Judged(
        cases.log.times[cases.rows],
        cases.amounts[cases.rows],
        cases.log.labels[cases.rows],
        cases.accounts[cases.rows],
        units,
    )


def compare(
    profile: Profile, cases: Cases, champion: Side, candidate: Side, capacity: int
) -> Report:
    """Everything about the two; `capacity` is how many transactions a day are reviewed."""
    rows = judged(profile, cases)
    known = rows.labels >= 0
    return Report(
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
        figures(candidate, rows, capacity),
        figures(champion, rows, capacity),
        disagreements(champion, candidate, cases, rows),
        _warnings(candidate, champion, int(known.sum())),
    )


def _warnings(candidate: Side, champion: Side, verdicts: int) -> list[str]:
    found = (
        []
        if verdicts
        else ["no verdict is known of these transactions: only decisions can be compared"]
    )
    for side in (candidate, champion):
        if side.seen:
            found.append(
                f"{side.name} was trained on the time of {side.seen:,} of these transactions: its "
                "figures are "
                "better than they would be on new ones"
            )
        found += [
            f"{side.name} decided without its detector {name}, which failed: {error}"
            for name, error in (side.failures or {}).items()
        ]
    return list(dict.fromkeys(found))


def figures(side: Side, rows: Judged, capacity: int) -> Figures:
    """All that is known of one side's decisions, and what `capacity` reviews a day would find by
    its scores.
    """
    known = rows.labels >= 0
    scores, y = side.scores[known], rows.labels[known] == 1
    found = quality(side.name, scores, y, calibrated=side.calibrated)
    good = np.flatnonzero((rows.labels == 0) & (side.decisions >= _BLOCK)).tolist()
    return Figures(
        found.name,
        found.metrics,
        found.calibration,
        found.curves,
        dict(side.thresholds),
        _count(side.decisions),
        _confusion(side.decisions[known] >= _REVIEW, y),
        _confusion(side.decisions[known] >= _BLOCK, y),
        _reviews(side, rows, capacity, int(y.sum())),
        _money(side.decisions, rows),
        len({rows.accounts[at] for at in good}) if rows.accounts else len(good),
        len(good),
    )


def _count(decisions: Decisions) -> dict[str, int]:
    return dict(
        zip(DECISIONS, np.bincount(decisions, minlength=len(DECISIONS)).tolist(), strict=True)
    )


def _confusion(flagged: Flags, y: Flags) -> Confusion:
    hits, false, missed, passed = (
        int(part.sum()) for part in (flagged & y, flagged & ~y, ~flagged & y, ~flagged & ~y)
    )
    return Confusion(
        hits, false, missed, passed, _share(hits, hits + false), _share(hits, hits + missed)
    )


def _reviews(side: Side, rows: Judged, capacity: int, frauds: int) -> Reviews:
    found = reviews(rows.times, rows.labels, side.scores, capacity)
    return Reviews(capacity, *found, _share(found.frauds, frauds))


def _money(decisions: Decisions, rows: Judged) -> Money | None:
    if not rows.units:
        return None
    fraud, legitimate = rows.labels == 1, rows.labels == 0
    parts = (
        fraud & (decisions >= _REVIEW),
        fraud & (decisions < _REVIEW),
        legitimate & (decisions >= _BLOCK),
    )
    return Money(*(int(rows.amounts[part].sum()) / rows.units for part in parts))


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def disagreements(champion: Side, candidate: Side, cases: Cases, rows: Judged) -> Disagreements:
    """Where the two decide differently, with up to ten examples: those whose scores differ most,
    then by amount.
    """
    pairs = np.bincount(
        champion.decisions * len(DECISIONS) + candidate.decisions, minlength=len(DECISIONS) ** 2
    )
    counts = {
        was: dict(zip(DECISIONS, line, strict=True))
        for was, line in zip(DECISIONS, pairs.reshape(len(DECISIONS), -1).tolist(), strict=True)
    }
    differ = np.flatnonzero(champion.decisions != candidate.decisions)
    gap = np.abs(champion.scores[differ] - candidate.scores[differ])
    shown = differ[np.lexsort((-rows.amounts[differ], -gap))][:_EXAMPLES]
    before, after = (_opinions(side, shown, cases.rows.start) for side in (champion, candidate))
    examples = [
        _example(cases, rows, at, *pair)
        for at, *pair in zip(shown.tolist(), before, after, strict=True)
    ]
    return Disagreements(len(differ), counts, examples)


def _opinions(side: Side, shown: NDArray[np.intp], first: int) -> list[Opinion]:
    flagged = [at for at in shown.tolist() if side.decisions[at]]
    said = (
        dict(zip(flagged, side.why([first + at for at in flagged]), strict=True)) if flagged else {}
    )
    return [
        Opinion(DECISIONS[side.decisions[at]], float(side.scores[at]), said.get(at, []))
        for at in shown.tolist()
    ]


def _example(cases: Cases, rows: Judged, at: int, champion: Opinion, candidate: Opinion) -> Example:
    label = int(rows.labels[at])
    return Example(
        cases.ids[cases.rows.start + at],
        rows.accounts[at] if rows.accounts else "",
        int(rows.times[at]),
        int(rows.amounts[at]) / rows.units if rows.units else None,
        None if label < 0 else label == 1,
        champion,
        candidate,
    )
