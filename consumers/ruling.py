"""What the policy makes of scored rows, and why: the models' reasons and the rules that hit."""

from __future__ import annotations

from collections import Counter
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from model.bundles.bundle import Bundle
from model.bundles.reasons import Reason, reasons
from model.policy.compiled import CompiledPolicy
from model.policy.facts import Rows
from model.policy.outcome import Outcome
from tidegate import metrics
from tidegate.messages.rule_hits import hit_bits
from tidegate.profile import Profile


class Ruling(NamedTuple):
    """Which rows have reasons (`told`, indices), and these; `quiet` bool[n]: no alert goes out.

    `rules` are the names of what hit, by the row's index.
    """

    told: NDArray[np.intp]
    why: list[list[Reason]]
    quiet: NDArray[np.bool_]
    rules: dict[int, list[str]]


def rule_on(
    profile: Profile,
    bundle: Bundle,
    policy: CompiledPolicy | None,
    rows: NDArray[Any],
    facts: Rows,
) -> Ruling:
    """Decide rows of frames, of which `facts` are known: sets decision, policy and hits."""
    rows["decision"] = facts.decision
    quiet = np.zeros(len(rows), np.bool_)
    if policy is not None:
        rows["policy"] = policy.version.encode()
    if policy is not None and not policy.does_nothing:
        outcome = policy.decide(facts)
        if len(outcome.hit):
            rows["decision"], rows["rule_hits"] = outcome.decision, outcome.packed()
            return _explained(profile, bundle, policy, rows, outcome)
        if policy.policy.suppressions:
            rows["rule_hits"], quiet = outcome.packed(), outcome.suppressed
    flagged = np.flatnonzero(facts.decision)
    return Ruling(flagged, model_reasons(profile, bundle, rows[flagged]), quiet, {})


def _explained(
    profile: Profile,
    bundle: Bundle,
    policy: CompiledPolicy,
    rows: NDArray[Any],
    outcome: Outcome,
) -> Ruling:
    by_model = (rows["model_decision"] > 0) & (outcome.decision > 0)
    told_of = np.union1d(np.flatnonzero(by_model), outcome.hit)
    why: dict[int, list[Reason]] = {index: [] for index in told_of.tolist()}
    rules: dict[int, list[str]] = {}
    known: dict[bytes, tuple[list[str], list[Reason]]] = {}
    for index in outcome.hit.tolist():
        bits = outcome.bits[index].tobytes()
        if bits not in known:
            known[bits] = _said(policy, bits)
        rules[index], reasons_of_row = known[bits]
        why[index] += reasons_of_row
    flagged = np.flatnonzero(by_model)
    passing_of = np.flatnonzero(outcome.forced[flagged] == 0)  # a rule would flag the others
    told = model_reasons(profile, bundle, rows[flagged], passing_of)
    for index, reasons_of_row in zip(flagged.tolist(), told, strict=True):
        why[index] += reasons_of_row
    return Ruling(np.array(list(why), np.intp), list(why.values()), outcome.suppressed, rules)


def _said(policy: CompiledPolicy, bits: bytes) -> tuple[list[str], list[Reason]]:
    """The names of what hit, and why."""
    parts = [policy.parts[bit] for bit in hit_bits(bits) if bit in policy.parts]
    reasons_of_parts = [Reason("", None, 0.0, part.text, rule=part.name) for part in parts]
    return [part.name for part in parts], reasons_of_parts


def model_reasons(
    profile: Profile,
    bundle: Bundle,
    flagged: NDArray[Any],
    passing_of: NDArray[np.intp] | None = None,
) -> list[list[Reason]]:
    """Why a model flagged rows; of those at `passing_of` (None: all) also what would have let them
    pass.
    """
    if not len(flagged):
        return []
    return reasons(
        bundle,
        profile,
        np.ascontiguousarray(flagged["values"]),
        flagged["amount_minor"],
        np.ascontiguousarray(flagged["scores"][:, :-1]),
        passing_of=passing_of,
    )


def count_hits(ruling: Ruling) -> None:
    """Count what hit, once a batch is committed."""
    for name, count in Counter(chain.from_iterable(ruling.rules.values())).items():
        metrics.RULE_HITS.labels(name).inc(count)
