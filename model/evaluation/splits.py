"""A fold's test, scored in log order while the online model goes on learning."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from model.bundles.bundle import Bundle
from model.detectors.base import Array
from model.history.fold import Log
from tidegate.profile import Profile

_STEP = 500
"""Rows scored with the same online weights, as a scorer does between two batches."""
_LEARNT = 20_000
"""Most rows learnt from at once: no bit depends on it."""


class Fold(NamedTuple):
    """Rows to learn from, and rows to score."""

    name: str
    fit: slice
    test: slice


def score_fold(profile: Profile, bundle: Bundle, fold: Fold, log: Log) -> Array:
    """Score the test and learn in turns what comes after the fit: a label counts once it is a label
    delay old.
    """
    out = np.empty(fold.test.stop - fold.test.start)
    for rows, params in learning(profile, bundle, fold, log):
        out[rows.start - fold.test.start : rows.stop - fold.test.start] = bundle.score(
            log.values[rows], params
        ).final
    return out


def learning(
    profile: Profile, bundle: Bundle, fold: Fold, log: Log
) -> Iterator[tuple[slice, Array | None]]:
    """The test in steps of a few rows, and the online weights (None: the bundle has none) that
    score each step.

    They are learnt from the rows after the fit, each label once it is a label delay old.
    """
    params = bundle.online.params.copy() if bundle.online else None
    learnt = fold.fit.stop
    for start in range(fold.test.start, fold.test.stop, _STEP):
        if bundle.online is not None and params is not None:
            mature = max(
                learnt,
                int(np.searchsorted(log.times, log.times[start] - profile.label_delay_us, "right")),
            )
            for first in range(learnt, mature, _LEARNT):
                rows = np.arange(first, min(first + _LEARNT, mature))
                rows = rows[log.labels[rows] >= 0]
                bundle.online.learn(params, bundle.inputs(log.values[rows]), log.labels[rows] == 1)
            learnt = mature
        yield slice(start, min(start + _STEP, fold.test.stop)), params
