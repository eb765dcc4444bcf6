"""What a bundle would have decided of past transactions, by the code that decides, away from the
live state.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from model.bundles.bundle import Bundle
from model.bundles.reasons import reasons
from model.detectors.base import Array
from model.ensemble.thresholds import Amounts
from model.evaluation.splits import Split, learning
from model.history.fold import Log
from model.progress import Progress
from tidegate.profile import Profile

Decisions = NDArray[np.uint8]
_REPORTED = 50_000
"""Rows between two reports of progress."""


class Cases(NamedTuple):
    """Past transactions in the order of their log, of which `rows` are decided again; those before
    fill windows.

    `log.times` never fall: a late transaction has the time of those before it. `accounts` is empty
    where the profile has none, `amounts` i8[n] are minor units. `read` and `rejected` count
    messages, `duplicates` those sent again; `told` is what reading a file had to tell.
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
    told: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class DecidedCases:
    """Past transactions as `name` decides them: final scores f8[n] and decisions u1[n] (places in
    DECISIONS).

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
) -> DecidedCases:
    """Score and decide the rows. The online model goes on learning from the labels since its
    training.

    Each label counts once it is a label delay old, as in a backtest that trains.
    """
    log = cases.log
    test = cases.rows
    split = Split(bundle.hash, slice(0, _learnt(bundle, log)), test)
    final = np.empty(test.stop - test.start)
    failures: dict[str, Exception] = {}
    for rows, params in learning(profile, bundle, split, log):
        scores = bundle.score(log.values[rows], params)
        final[rows.start - test.start : rows.stop - test.start] = scores.final
        failures |= scores.failures
        if rows.start % _REPORTED < rows.stop - rows.start:
            progress(
                (rows.stop - test.start) / len(final),
                f"{bundle.hash[:8]} decides {len(final):,} transactions",
            )
    return DecidedCases(
        name or bundle.hash,
        bundle.manifest.thresholds,
        final,
        bundle.decide(final, cases.amounts[test]),
        lambda rows: _explain(profile, bundle, split, cases, rows),
        bundle.ensemble.calibrated,
        _seen(bundle, log.times[test]),
        failures,
    )


def _learnt(bundle: Bundle, log: Log) -> int:
    """How many rows are no newer than the training."""
    return int(np.searchsorted(log.times, bundle.manifest.training.to_us, side="right"))


def _seen(bundle: Bundle, times: NDArray[np.int64]) -> int:
    """Rows within the training's range; 0 where the log has no times."""
    if not times.any():
        return 0
    training = bundle.manifest.training
    return int(((times >= training.from_us) & (times <= training.to_us)).sum())


def _explain(
    profile: Profile, bundle: Bundle, split: Split, cases: Cases, rows: list[int]
) -> list[list[str]]:
    """The reasons of rows in words, by the online weights that scored each."""
    texts: dict[int, list[str]] = {}
    for step, params in learning(profile, bundle, split, cases.log):
        in_step = [row for row in rows if step.start <= row < step.stop]
        if not in_step:
            continue
        then = bundle.with_weights(params)
        values = cases.log.values[in_step]
        scores = then.score(values).detectors
        why = reasons(then, profile, values, cases.amounts[in_step], scores)
        for row, reasons_of_row in zip(in_step, why, strict=True):
            texts[row] = [reason.text for reason in reasons_of_row]
    return [texts[row] for row in rows]
