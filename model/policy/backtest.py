"""What a policy would have done with rows that were decided, and how well, by their verdicts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from model.ensemble.thresholds import Rule, decide
from model.ensemble.thresholds import rule as threshold_rule
from model.policy.compiled import CompiledPolicy
from model.policy.facts import Rows
from tidegate.messages.rule_hits import FIRST_LIST

Bools = NDArray[np.bool_]
_BLOCK = 2


class DecidedRows(NamedTuple):
    """Rows of the past; `rows.decision` is the models', `decided` u1[n] what was done, `labels`
    i1[n] by the verdicts (1 fraud, 0 legitimate, -1 none); times in us; `bundles` n hashes.
    """

    rows: Rows
    amount_minor: NDArray[np.int64]
    decided: NDArray[np.uint8]
    labels: NDArray[np.int8]
    event_us: NDArray[np.int64]
    bundles: NDArray[np.str_]


class Counts(msgspec.Struct, frozen=True):
    """Decisions of one kind: rows approved, reviewed, blocked; of those with a verdict the frauds
    caught (not approved), the frauds missed, and good customers blocked; amounts in minor units.
    """

    approve: int
    review: int
    block: int
    frauds_caught: int
    frauds_missed: int
    good_reviewed: int
    good_blocked: int
    caught_minor: int
    missed_minor: int


class PartResult(msgspec.Struct, frozen=True):
    """What one rule or list would have done: rows it hit, by verdict; `with_model`: of which the
    models flagged too; `changed`: of which the decision would have been another without any rule.
    """

    name: str
    action: str
    hits: int
    frauds: int
    legitimate: int
    with_model: int
    changed: int
    fraud_minor: int


class Backtest(msgspec.Struct, frozen=True):
    """Of a policy's `version` on `rows` rows, of which `verdicts` have one: `before` as they were
    decided, `models` by the models (with the policy's thresholds), `after` by the policy.
    """

    version: str
    rows: int
    verdicts: int
    since_us: int
    until_us: int
    before: Counts
    models: Counts
    after: Counts
    changed: int
    parts: list[PartResult]
    unknown: int = 0
    """Rows whose bundle, by whose thresholds they would be decided, is not at hand: they are tried
    with the models' decisions of their time.
    """


def backtest(policy: CompiledPolicy, past: DecidedRows, own: Mapping[str, Rule]) -> Backtest:
    """Try a policy on rows of the past, whose scores and features stay as they were; `own` are the
    thresholds of their bundles, which decide where the policy has none.
    """
    by_model, unknown = _by_models(policy, past, own)
    outcome = policy.decide(past.rows._replace(decision=by_model))
    n, hits = len(past.decided), outcome.hits
    return Backtest(
        version=policy.version,
        rows=n,
        verdicts=int((past.labels >= 0).sum()),
        since_us=int(past.event_us.min()) if n else 0,
        until_us=int(past.event_us.max()) if n else 0,
        before=_counts(past, past.decided),
        models=_counts(past, by_model),
        after=_counts(past, outcome.decision),
        changed=int((outcome.decision != past.decided).sum()),
        unknown=unknown,
        parts=[
            _part(policy, bit, hits[bit], past, by_model, outcome.decision) for bit in policy.parts
        ],
    )


def _by_models(
    policy: CompiledPolicy, past: DecidedRows, own: Mapping[str, Rule]
) -> tuple[NDArray[np.uint8], int]:
    """What the models would decide u1[n], and of how many rows that cannot be said."""
    score, amounts = past.rows.score, past.amount_minor
    if policy.policy.thresholds:
        return decide(threshold_rule(policy.policy.thresholds), score, amounts), 0
    by_model, unknown = past.rows.decision.copy(), 0
    for name in np.unique(past.bundles).tolist():
        rows = past.bundles == name
        if name in own:
            by_model[rows] = decide(own[name], score[rows], amounts[rows])
        else:
            unknown += int(rows.sum())
    return by_model, unknown


def _counts(past: DecidedRows, decision: NDArray[np.uint8]) -> Counts:
    approve, review, block = np.bincount(decision, minlength=3).tolist()
    fraud, good, flagged = past.labels == 1, past.labels == 0, decision > 0
    return Counts(
        approve=approve,
        review=review,
        block=block,
        frauds_caught=int((fraud & flagged).sum()),
        frauds_missed=int((fraud & ~flagged).sum()),
        good_reviewed=int((good & flagged & (decision < _BLOCK)).sum()),
        good_blocked=int((good & (decision == _BLOCK)).sum()),
        caught_minor=int(past.amount_minor[fraud & flagged].sum()),
        missed_minor=int(past.amount_minor[fraud & ~flagged].sum()),
    )


def _part(
    policy: CompiledPolicy,
    bit: int,
    hit: Bools,
    past: DecidedRows,
    by_model: NDArray[np.uint8],
    decision: NDArray[np.uint8],
) -> PartResult:
    fraud = hit & (past.labels == 1)
    part = policy.parts[bit]
    return PartResult(
        name=part.name,
        action=part.action if bit < FIRST_LIST else policy.policy.lists[bit - FIRST_LIST].kind,
        hits=int(hit.sum()),
        frauds=int(fraud.sum()),
        legitimate=int((hit & (past.labels == 0)).sum()),
        with_model=int((hit & (by_model > 0)).sum()),
        changed=int((hit & (decision != by_model)).sum()),
        fraud_minor=int(past.amount_minor[fraud].sum()),
    )
