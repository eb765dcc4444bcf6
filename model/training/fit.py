"""Fits detectors and their stack on labelled rows in time order, for training and backtests."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from model.detectors.base import Array, Detector
from model.detectors.catalog import known
from model.ensemble.combiner import Combiner
from model.ensemble.rank_average import RankAverage
from model.ensemble.stack import Ensemble
from model.progress import Progress
from tidegate.errors import ConfigError
from tidegate.profile import Profile

FEWEST = 10
"""Frauds, and others, that each slice needs."""
_BEFORE_STACK = 0.8


class Fitted(NamedTuple):
    """Detectors in score order, what combines their scores, and the combined scores f8[m] of the
    rows held out.
    """

    detectors: list[Detector]
    ensemble: Combiner
    held_out: Array


def fit_models(
    profile: Profile,
    names: Sequence[str],
    x: Array,
    y: NDArray[np.bool_],
    held_out: Array,
    seed: int,
    progress: Progress,
) -> Fitted:
    """Fit the detectors `names` on `x` f8[n, len(profile.features)], columns in sorted order, and
    `y` bool[n].

    1. Detectors are fitted on the first four fifths.
    2. The stack is fitted on their scores of the last fifth. They also score `held_out` f8[m,
       len(profile.features)], the rows of that time with a verdict or without.
    3. The detectors are fitted again on all of `x`, because the newest frauds teach most.

    Raises ConfigError for an unknown name or a wrong setting.
    """
    kinds = [kind_of(profile, name) for name in names]
    features = sorted(profile.features)
    cut = before_stack(len(x))

    def fit(rows: slice, first: float) -> list[Detector]:
        detectors = []
        for number, (name, kind) in enumerate(zip(names, kinds, strict=True)):
            progress(first + 0.5 * number / len(names), f"{name} on {len(y[rows]):,} transactions")
            settings = {
                key: value
                for key, value in profile.models.settings.get(name, {}).items()
                if key != "weight"
            }
            detectors.append(kind.fit(x[rows], y[rows], features, settings, seed))
        return detectors

    before = fit(slice(cut), 0.0)
    ensemble = _combiner(profile, names, margins_of(before, x[cut:]), y[cut:])
    return Fitted(fit(slice(None), 0.5), ensemble, ensemble.combine(margins_of(before, held_out)))


def margins_of(detectors: Sequence[Detector], x: Array) -> Array:
    """The detectors' scores f8[n, m] in log-odds of x f8[n, features]."""
    rows = np.ascontiguousarray(x)
    return np.column_stack([detector.score(rows) for detector in detectors])


def _combiner(
    profile: Profile, names: Sequence[str], margins: Array, y: NDArray[np.bool_]
) -> Combiner:
    """A calibrated stack; without verdicts a mean of ranks weighted by `models.NAME.weight`."""
    if y.any():
        return Ensemble.fit(margins, y)
    weights = [profile.models.settings.get(name, {}).get("weight", 1.0) for name in names]
    usable = [
        float(weight) for weight in weights if isinstance(weight, int | float) and 0 < weight <= 1e6
    ]
    if len(usable) < len(weights):
        raise ConfigError(
            f"{profile.path}: models: expected positive numbers as weights, got {weights}"
        )
    return RankAverage.fit(margins, usable)


def before_stack(n: int) -> int:
    """How many of `n` rows come before the stack's."""
    return int(n * _BEFORE_STACK)


def kind_of(profile: Profile, name: str) -> type[Detector]:
    """The detector of that name. Raises ConfigError."""
    kinds = known()
    if name not in kinds:
        raise ConfigError(f"{profile.path}: models: there is no {name!r}, only {', '.join(kinds)}")
    return kinds[name]


def require_both(y: NDArray[np.bool_], where: str) -> None:
    """Raises ConfigError unless there are `FEWEST` frauds and others; `where` names the rows."""
    frauds = int(y.sum())
    if frauds < FEWEST or len(y) - frauds < FEWEST:
        raise ConfigError(
            f"{where} hold {frauds} frauds of {len(y)}; training needs {FEWEST} frauds and "
            f"{FEWEST} others in each part: give a longer history"
        )
