"""Why a transaction was flagged, in words with the profile's own names."""

from __future__ import annotations

import math

import msgspec
import numpy as np

from model.bundle import Bundle
from model.detectors.base import Array

_MOST = 5
_LEAST = 0.05
"""Log-odds that a reason must add to be named."""


class Reason(msgspec.Struct):
    """One feature's part in a score; `contribution` in log-odds, `value` None where it is missing."""

    feature: str
    value: float | None
    contribution: float
    text: str


def reasons(bundle: Bundle, values: Array) -> list[list[Reason]]:
    """For each row of `values` f8[n, len(profile.values)] the features that raised its score most, strongest first."""
    inputs, shares = bundle.inputs(values), bundle.contributions(values)[:, 1:]
    order = np.argsort(-shares, axis=1, kind="stable")[:, :_MOST]
    return [[_reason(bundle.feature_names[k], inputs[i, k], shares[i, k]) for k in row if shares[i, k] >= _LEAST]
            for i, row in enumerate(order)]


def _reason(feature: str, value: float, share: float) -> Reason:
    missing = math.isnan(value)
    said = f"{feature} is missing" if missing else f"{feature} = {value:.6g}"
    odds = math.exp(min(share, 20.0))
    return Reason(feature, None if missing else float(value), round(float(share), 4),
                  f"{said} multiplies the odds by {odds:.2g}")
