"""Why a transaction was flagged, in words with the profile's own names."""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from model.bundles.bundle import Bundle
from model.bundles.counterfactual import passing
from model.detectors.base import Array
from model.ensemble.thresholds import Amounts
from tidegate.profile import Profile

_MOST = 5
_TRIED = 3
"""The strongest reasons, for which a value is sought that would have let the transaction pass."""
_LEAST = 0.05
"""Log-odds that a reason must add to be named."""


class Reason(msgspec.Struct, omit_defaults=True):
    """One feature's share of a score; `contribution` in log-odds, `value` None where it is missing.

    Or a rule that hit: then `rule` is its name, or list:NAME, and there is no feature.

    `pass_at_most` or `pass_at_least`: with the feature there, and all else as it was, it would have
    passed.
    """

    feature: str
    value: float | None
    contribution: float
    text: str
    pass_at_most: float | None = None
    pass_at_least: float | None = None
    rule: str = ""


def reasons(
    bundle: Bundle,
    profile: Profile,
    values: Array,
    amount_minor: Amounts,
    scores: Array | None = None,
    *,
    passing_of: NDArray[np.intp] | None = None,
) -> list[list[Reason]]:
    """For each row of `values` f8[n, len(profile.values)] what raised its score most, strongest
    first; of those at the indices `passing_of` (None: of all) also what would have let it pass.

    `scores` are the detectors' f8[n, m] of these rows, NaN where one was left out.
    """
    inputs = bundle.inputs(values)
    shares = bundle.contributions(values, scores)[:, 1:]
    strongest = np.argsort(-shares, axis=1, kind="stable")[:, :_MOST]
    result = [
        [
            _reason(profile, bundle.feature_names[k], inputs[row, k], shares[row, k])
            for k in features
            if shares[row, k] >= _LEAST
        ]
        for row, features in enumerate(strongest)
    ]
    told = np.arange(len(values)) if passing_of is None else passing_of
    if not len(told):
        return result
    tried, known = strongest[told, :_TRIED], None if scores is None else scores[told]
    limits = passing(bundle, values[told], amount_minor[told], tried, known)
    for row, most, least in zip(told.tolist(), limits.at_most, limits.at_least, strict=True):
        for reason, high, low in zip(result[row], most, least, strict=False):
            _add_passing(profile, reason, high, low)
    return result


def _reason(profile: Profile, feature: str, value: float, share: float) -> Reason:
    missing = math.isnan(value)
    fact = f"{feature} is missing" if missing else f"{feature} = {_word(profile, feature, value)}"
    odds = math.exp(min(share, 20.0))
    return Reason(
        feature,
        None if missing else float(value),
        round(float(share), 4),
        f"{fact} multiplies the odds by {odds:.2g}",
    )


def _word(profile: Profile, feature: str, value: float) -> str:
    """A number, or the name that a category's code stands for."""
    names = _categories(profile, feature)
    if not names:
        return f"{value:.6g}"
    return names[int(value)] if value < len(names) else "another value"


def _add_passing(profile: Profile, reason: Reason, at_most: float, at_least: float) -> None:
    if _categories(profile, reason.feature):
        return  # a category's code is no quantity
    if math.isfinite(at_most):
        reason.pass_at_most = float(at_most)
        reason.text += f"; would pass if {reason.feature} were at most {at_most:.15g}"
    elif math.isfinite(at_least):
        reason.pass_at_least = float(at_least)
        reason.text += f"; would pass if {reason.feature} were at least {at_least:.15g}"


def _categories(profile: Profile, feature: str) -> Sequence[str]:
    return profile.fields[feature].codes() if feature in profile.fields else ()
