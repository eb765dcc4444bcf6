"""A split's test, scored in log order while the online model goes on learning."""

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


class Split(NamedTuple):
    """Rows of a log to learn from, and rows to score."""

    name: str
    fit: slice
    test: slice


def score_split(profile: Profile, bundle: Bundle, split: Split, log: Log) -> Array:
    """The final scores f8[rows of the test]; between two steps the online model learns.

    It learns the rows after the fit, each label once it is a label delay old.
    """
    first = split.test.start
    out = np.empty(split.test.stop - first)
    for rows, params in learning(profile, bundle, split, log):
        out[rows.start - first : rows.stop - first] = bundle.score(log.values[rows], params).final
    return out


def learning(
    profile: Profile, bundle: Bundle, split: Split, log: Log
) -> Iterator[tuple[slice, Array | None]]:
    """The test in steps of a few rows, and the online weights (None: the bundle has none) that
    score each step.

    They are learnt from the rows after the fit, each label once it is a label delay old.
    """
    params = bundle.online.params.copy() if bundle.online else None
    learnt = split.fit.stop
    for start in range(split.test.start, split.test.stop, _STEP):
        if bundle.online is not None and params is not None:
            known_us = log.times[start] - profile.label_delay_us
            mature = max(learnt, int(np.searchsorted(log.times, known_us, "right")))
            for first in range(learnt, mature, _LEARNT):
                rows = np.arange(first, min(first + _LEARNT, mature))
                rows = rows[log.labels[rows] >= 0]
                bundle.online.learn(params, bundle.inputs(log.values[rows]), log.labels[rows] == 1)
            learnt = mature
        yield slice(start, min(start + _STEP, split.test.stop)), params
