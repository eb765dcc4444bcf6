"""Fits detectors and their stack on labelled rows in time order: what training and backtests share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from model.detectors.base import Array, Detector, known
from model.ensemble import Ensemble
from tidegate.errors import ConfigError
from tidegate.profile import Profile

Progress = Callable[[float, str], None]
"""Told the share done and what is done next."""
FEWEST = 10
"""Frauds, and others, that each slice needs."""
_BEFORE_STACK = 0.8


class Fitted(NamedTuple):
    """Detectors in score order, and what makes one probability of their log-odds."""

    detectors: list[Detector]
    ensemble: Ensemble


def fit_models(profile: Profile, names: Sequence[str], x: Array, y: NDArray[np.bool_], seed: int,
               progress: Progress) -> Fitted:
    """Fit the detectors `names` on `x` f8[n, len(profile.features)], columns in sorted order, and `y` bool[n].

    The stack is fitted on the last fifth, from detectors that saw only what is before it; then the detectors are fitted
    again on all rows, because the newest frauds teach most. Raises ConfigError for an unknown name or a wrong setting.
    """
    kinds = [kind_of(profile, name) for name in names]
    features, cut = sorted(profile.features), before_stack(len(x))

    def fit(rows: slice, first: float) -> list[Detector]:
        found = []
        for k, (name, kind) in enumerate(zip(names, kinds, strict=True)):
            progress(first + 0.5 * k / len(names), f"{name} on {len(y[rows]):,} transactions")
            found.append(kind.fit(x[rows], y[rows], features, profile.models.settings.get(name, {}), seed))
        return found

    margins = np.column_stack([part.score(x[cut:]) for part in fit(slice(cut), 0.0)])
    ensemble = Ensemble.fit(margins, y[cut:])
    return Fitted(fit(slice(None), 0.5), ensemble)


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
    """Raises ConfigError unless there are FEWEST frauds and others; `where` names rows and place."""
    frauds = int(y.sum())
    if frauds < FEWEST or len(y) - frauds < FEWEST:
        raise ConfigError(f"{where} hold {frauds} frauds of {len(y)}; training needs {FEWEST} frauds and {FEWEST} "
                          "others in each part: give a longer history")
