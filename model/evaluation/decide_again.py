"""A bundle on past transactions: what it would have decided, by the code that decides, away from
the live state.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from model.bundles.bundle import Bundle
from model.bundles.reasons import reasons
from model.detectors.base import Array
from model.ensemble.thresholds import Amounts
from model.evaluation.splits import Fold, learning
from model.history.fold import Log
from model.progress import Progress
from tidegate.profile import Profile

Decisions = NDArray[np.uint8]
_TOLD = 50_000


class Cases(NamedTuple):
    """Past transactions in the order of their log, of which `rows` are decided again; those before
    fill windows.

    `log.times` never fall: a late transaction has the time of those before it. `accounts` is empty
    where the profile has none, `amounts` i8[n] are minor units. `read` and `rejected` count
    messages, `duplicates` those sent again.
    """

    ids: list[str]
    accounts: list[str]
    amounts: Amounts
    log: Log
    rows: slice
    source: str
    read: int
    rejected: int = 0
    duplicates: int = 0


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two that are compared: final scores f8[n] and decisions u1[n] (places in
    DECISIONS) of the rows.

    `calibrated`: whether the scores are probabilities. `seen`: rows from the time that its models
    learnt from. `failures`: errors of detectors that were left out. `why` gives reasons in words
    for rows by number in the log.
    """

    name: str
    thresholds: Mapping[str, float]
    scores: Array
    decisions: Decisions
    why: Callable[[list[int]], list[list[str]]]
    calibrated: bool = True
    seen: int = 0
    failures: Mapping[str, Exception] | None = None


def decide_again(
    profile: Profile, bundle: Bundle, cases: Cases, progress: Progress, name: str = ""
) -> Side:
    """Score and decide the rows. The online model goes on learning from the labels since its
    training.

    Each label counts once it is a label delay old, as in a backtest of folds.
    """
    log, rows = cases.log, cases.rows
    fold = Fold(bundle.hash, slice(0, _learnt(bundle, log)), rows)
    scores, failures = np.empty(rows.stop - rows.start), dict[str, Exception]()
    for part, params in learning(profile, bundle, fold, log):
        found = bundle.score(log.values[part], params)
        scores[part.start - rows.start : part.stop - rows.start] = found.final
        failures |= found.failures
        if part.start % _TOLD < part.stop - part.start:
            progress(
                (part.stop - rows.start) / len(scores),
                f"{bundle.hash[:8]} decides {len(scores):,} transactions",
            )
    return Side(
        name or bundle.hash,
        bundle.manifest.thresholds,
        scores,
        bundle.decide(scores, cases.amounts[rows]),
        lambda at: _explain(profile, bundle, fold, cases, at),
        bundle.ensemble.calibrated,
        _seen(bundle, log.times[rows]),
        failures,
    )


def _learnt(bundle: Bundle, log: Log) -> int:
    """How many rows are no newer than the training."""
    return int(np.searchsorted(log.times, bundle.manifest.training.to_us, side="right"))


def _seen(bundle: Bundle, times: NDArray[np.int64]) -> int:
    """Rows within the training's range; 0 where the log has no times."""
    training = bundle.manifest.training
    return (
        int(((times >= training.from_us) & (times <= training.to_us)).sum()) if times.any() else 0
    )


def _explain(
    profile: Profile, bundle: Bundle, fold: Fold, cases: Cases, at: list[int]
) -> list[list[str]]:
    """The reasons of rows in words, by the online weights that scored each."""
    found: dict[int, list[str]] = {}
    for part, params in learning(profile, bundle, fold, cases.log):
        here = [row for row in at if part.start <= row < part.stop]
        if here:
            then, values = bundle.with_weights(params), cases.log.values[here]
            said = reasons(then, profile, values, cases.amounts[here], then.score(values).detectors)
            found |= {row: [one.text for one in why] for row, why in zip(here, said, strict=True)}
    return [found[row] for row in at]
