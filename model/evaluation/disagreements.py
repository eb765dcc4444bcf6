"""Where champion and challenger decide differently, with examples and the reasons of both."""

from __future__ import annotations

import msgspec
import numpy as np

from model.evaluation.decide_again import Cases, DecidedCases
from model.evaluation.judged import Judged, decision_counts
from tidegate.messages.frames import DECISIONS

_EXAMPLES = 10


class Opinion(msgspec.Struct):
    """What a model decides of an example, with the reasons in words where it flags it."""

    decision: str
    score: float
    reasons: list[str]


class Example(msgspec.Struct):
    """A transaction that both decide differently; `amount` in units, `fraud` None: no verdict."""

    transaction_id: str
    account: str
    time_us: int
    amount: float | None
    fraud: bool | None
    champion: Opinion
    challenger: Opinion = msgspec.field(name="candidate")  # the name in report.json


class Disagreements(msgspec.Struct):
    """Rows by the champion's decision and then the challenger's, and those where their scores
    differ most.
    """

    rows: int
    counts: dict[str, dict[str, int]]
    examples: list[Example]


def disagreements(
    champion: DecidedCases, challenger: DecidedCases, cases: Cases, rows: Judged
) -> Disagreements:
    """Where the two decide differently, with up to ten examples: those whose scores differ most,
    then by amount.
    """
    counts = {
        before: decision_counts(challenger.decisions[champion.decisions == place])
        for place, before in enumerate(DECISIONS)
    }
    differ = np.flatnonzero(champion.decisions != challenger.decisions)
    gap = np.abs(champion.scores[differ] - challenger.scores[differ])
    shown = differ[np.lexsort((-rows.amounts[differ], -gap))][:_EXAMPLES].tolist()
    first = cases.rows.start
    opinions = zip(
        _opinions(champion, shown, first), _opinions(challenger, shown, first), strict=True
    )
    examples = [
        _example(cases, rows, row, *pair) for row, pair in zip(shown, opinions, strict=True)
    ]
    return Disagreements(len(differ), counts, examples)


def _opinions(decided: DecidedCases, shown: list[int], first: int) -> list[Opinion]:
    flagged = [row for row in shown if decided.decisions[row]]
    reasons: dict[int, list[str]] = {}
    if flagged:
        why = decided.why([first + row for row in flagged])
        reasons = dict(zip(flagged, why, strict=True))
    return [
        Opinion(DECISIONS[decided.decisions[row]], float(decided.scores[row]), reasons.get(row, []))
        for row in shown
    ]


def _example(
    cases: Cases, rows: Judged, row: int, champion: Opinion, challenger: Opinion
) -> Example:
    label = int(rows.labels[row])
    return Example(
        cases.ids[cases.rows.start + row],
        rows.accounts[row] if rows.accounts else "",
        int(rows.times[row]),
        int(rows.amounts[row]) / rows.units if rows.units else None,
        None if label < 0 else label == 1,
        champion,
        challenger,
    )
