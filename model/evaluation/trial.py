"""One transaction scored as it would be now, without a place in any log: it changes nothing."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from model.bundles.bundle import Bundle, Scores
from model.bundles.reasons import Reason, reasons
from model.detectors.base import Array
from model.features.columns import Columns
from model.features.intake import take_rows
from model.history.fold import fold_columns
from model.policy.compiled import CompiledPolicy, names_of
from model.policy.facts import Rows
from tidegate.clock import now_us
from tidegate.messages.frames import DECISIONS
from tidegate.messages.policy import Policy
from tidegate.profile import Profile


class Trial(NamedTuple):
    """What would be decided: the final `score`, and from which scores on it is reviewed and
    blocked.

    `rules`: the rules and lists of the policy that hit. `detectors` by name, None for one that
    failed; `features` by name, NaN where missing. The two times are in ms.
    """

    decision: str
    score: float
    review: float
    block: float
    detectors: dict[str, float | None]
    reasons: list[Reason]
    features: dict[str, float]
    rules: list[str]
    past: int
    features_ms: float
    scoring_ms: float


def try_out(
    profile: Profile,
    bundle: Bundle,
    past: Sequence[bytes],
    raw: bytes,
    policy: Policy | None = None,
    verdicts: Sequence[int] = (),
) -> Trial:
    """Score `raw` after the payloads of `past` transactions, which come in the order of their log.

    A past one that the profile does not take (any more) is left out. `verdicts` on the others (1
    fraud, 0 legitimate, -1 none) count once they are a label delay old; none are given for none.
    `raw` is one that the profile takes. The thresholds are the bundle's, the rules the policy's.
    """
    begin = time.perf_counter()
    lines = [*past, raw]
    intake = take_rows(profile, lines, np.zeros(len(lines), np.int64))
    columns = intake.columns
    labels = np.array([*(verdicts or [-1] * len(past)), -1], np.int8)[intake.at]
    values = fold_columns(profile, columns.times, columns.hashes, columns.values, labels)[-1:]
    folded = time.perf_counter()
    amounts = columns.amounts[-1:]
    scores = bundle.score(values)
    review, block = bundle.rule.at(amounts)
    why = reasons(bundle, profile, values, amounts, scores.detectors)[0]
    by_model = bundle.decide(scores.final, amounts)
    decision, rules = _ruled(profile, policy, columns, values, scores, by_model, raw)
    found = [None if np.isnan(score) else float(score) for score in scores.detectors[0]]
    return Trial(
        DECISIONS[decision],
        float(scores.final[0]),
        float(review[0]),
        float(block[0]),
        dict(zip(bundle.manifest.detectors, found, strict=True)),
        why,
        dict(zip(profile.values, values[0].tolist(), strict=True)),
        rules,
        len(columns.times) - 1,
        1000 * (folded - begin),
        1000 * (time.perf_counter() - folded),
    )


def _ruled(
    profile: Profile,
    policy: Policy | None,
    columns: Columns,
    values: Array,
    scores: Scores,
    by_model: NDArray[np.uint8],
    raw: bytes,
) -> tuple[int, list[str]]:
    """A place in DECISIONS, once the policy has had its say, and the names of what hit."""
    if policy is None:
        return int(by_model[0]), []
    rows = Rows(
        values,
        columns.hashes[-1:],
        scores.final,
        scores.detectors,
        by_model,
        np.array([now_us()], np.int64),
        [raw],
    )
    outcome = CompiledPolicy(policy, profile).decide(rows)
    names = names_of(policy)
    hit = [names[bit] for bit in np.flatnonzero(outcome.hits[:, 0]).tolist() if bit in names]
    return int(outcome.decision[0]), hit
