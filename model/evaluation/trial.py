"""One transaction scored as it would be now, without a place in any log: it changes nothing."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from model.bundles.bundle import Bundle
from model.bundles.reasons import Reason, reasons
from model.features.intake import take_rows
from model.history.fold import fold_columns
from tidegate.messages.frames import DECISIONS
from tidegate.profile import Profile


class Trial(NamedTuple):
    """What would be decided: the final `score`, and from which scores on it is reviewed and
    blocked.

    `detectors` by name, None for one that failed; `features` by name, NaN where missing. The two
    times are in ms.
    """

    decision: str
    score: float
    review: float
    block: float
    detectors: dict[str, float | None]
    reasons: list[Reason]
    features: dict[str, float]
    past: int
    features_ms: float
    scoring_ms: float


def try_out(profile: Profile, bundle: Bundle, past: Sequence[bytes], raw: bytes) -> Trial:
    """Score `raw` after the payloads of `past` transactions, which come in the order of their log.

    A past one that the profile does not take (any more) is left out; verdicts count for nothing.
    `raw` is one that the profile takes.
    """
    begin = time.perf_counter()
    lines = [*past, raw]
    columns = take_rows(profile, lines, np.zeros(len(lines), np.int64)).columns
    values = fold_columns(profile, columns.times, columns.hashes, columns.values)[-1:]
    folded = time.perf_counter()
    amounts = columns.amounts[-1:]
    scores = bundle.score(values)
    review, block = bundle.rule.at(amounts)
    why = reasons(bundle, profile, values, amounts, scores.detectors)[0]
    found = [None if np.isnan(score) else float(score) for score in scores.detectors[0]]
    return Trial(
        DECISIONS[int(bundle.decide(scores.final, amounts)[0])],
        float(scores.final[0]),
        float(review[0]),
        float(block[0]),
        dict(zip(bundle.manifest.detectors, found, strict=True)),
        why,
        dict(zip(profile.values, values[0].tolist(), strict=True)),
        len(columns.times) - 1,
        1000 * (folded - begin),
        1000 * (time.perf_counter() - folded),
    )
