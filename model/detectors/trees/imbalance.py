"""Few frauds among many legitimate rows: samples of a history that a detector learns from
instead.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from model.detectors.base import Array
from tidegate.errors import ConfigError

DEFAULTS = {"ratio": 0.0, "bags": 1.0, "smote": 0.0, "fraud_weight": 1.0}
"""Settings; these leave the history as it is."""
_NEIGHBOURS = 5


class Sample(NamedTuple):
    """Rows f8[n, c], their outcomes bool[n] and weights f8[n], and what to add to log-odds learnt
    from them.

    Shifted like that they are those of the whole history (King and Zeng, "Logistic Regression in
    Rare Events Data", Political Analysis 2001), but for what made-up frauds do to the density of
    frauds.
    """

    x: Array
    y: NDArray[np.bool_]
    weights: Array
    shift: float


def samples(
    name: str, x: Array, y: NDArray[np.bool_], chosen: Mapping[str, float], seed: int
) -> Iterator[Sample]:
    """`bags` samples of `x` f8[n, c] and `y` bool[n], each with all frauds.

    `ratio` is how many legitimate rows there are for each fraud (0: all of them), drawn anew for
    each bag. `smote` is the share of frauds in legitimate rows up to which frauds are made up
    between neighbours (0: none), `fraud_weight` how many legitimate rows a fraud weighs. Raises
    ConfigError about the settings of `models.name`.
    """
    if chosen["smote"] > 1:
        raise ConfigError(f"models.{name}.smote: a share of at most 1, got {chosen['smote']:g}")
    if chosen["bags"] > 1 and not chosen["ratio"]:
        raise ConfigError(
            f"models.{name}.bags: without a `ratio` all bags would hold the same rows"
        )
    for bag in range(int(chosen["bags"])):
        kept, shift = _undersampled(y, chosen["ratio"], seed + bag)
        rows, outcomes = _with_synthetic(x[kept], y[kept], chosen["smote"], seed + bag)
        grown = int(outcomes.sum()) / max(int(y.sum()), 1) * chosen["fraud_weight"]
        yield Sample(
            rows,
            outcomes,
            np.where(outcomes, chosen["fraud_weight"], 1.0),
            shift - (math.log(grown) if grown else 0.0),
        )


def _undersampled(y: NDArray[np.bool_], ratio: float, seed: int) -> tuple[NDArray[np.intp], float]:
    """All frauds and about `ratio` other rows for each (0: all), and the logarithm of the share of
    these.
    """
    frauds, others = int(y.sum()), int((~y).sum())
    share = ratio * frauds / others if others else 1.0
    if not 0 < share < 1:
        return np.arange(len(y)), 0.0
    kept = y | (np.random.default_rng(seed).random(len(y)) < share)
    return np.flatnonzero(kept), math.log(share)


def _with_synthetic(
    x: Array, y: NDArray[np.bool_], share: float, seed: int
) -> tuple[Array, NDArray[np.bool_]]:
    """With frauds made up by SMOTE (Chawla et al., JAIR 2002) until there are `share` for each
    legitimate row.

    Distances are over standardized columns; a missing value counts as the median, also in what is
    made up.
    """
    frauds = int(y.sum())
    if frauds < 2 or frauds >= share * (len(y) - frauds):
        return x, y
    try:
        from imblearn.over_sampling import SMOTE
    except ImportError as error:
        raise ConfigError(
            "smote: needs imbalanced-learn, which is not installed here: "
            "pip install imbalanced-learn, or leave `smote` out"
        ) from error
    known = np.where(np.isfinite(x), x, np.nan)
    known[:, np.isnan(known).all(axis=0)] = 0.0
    known = np.where(np.isnan(known), np.nanmedian(known, axis=0), known)
    scale = np.maximum(known.std(axis=0), 1e-12)
    smote = SMOTE(
        sampling_strategy=share, k_neighbors=min(_NEIGHBOURS, frauds - 1), random_state=seed
    )
    made, _ = smote.fit_resample(known / scale, y)
    synthetic = made[len(x) :] * scale
    return np.vstack([x, synthetic]), np.append(y, np.ones(len(synthetic), np.bool_))
