"""How far data has moved from what a bundle learnt from: the population stability index (PSI) of each feature.

PSI = sum over bins of (share now - share then) * ln(share now / share then). By convention below 0.1 nothing has
changed, above 0.25 something has (Siddiqi, Credit Risk Scorecards, 2006); at 1 about half of the rows are elsewhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec
import numpy as np
from numpy.typing import NDArray

from model.detectors.base import Array

if TYPE_CHECKING:
    from model.bundle import Bundle

FILE = "reference.json"
"""The bundle's file with the reference of its training."""
_CUTS = np.arange(1, 10) / 10
_LEAST = 1e-4
"""An empty bin counts as this share."""


class Bins(msgspec.Struct, forbid_unknown_fields=True):
    """One feature then: `edges` f8[k], and the shares of the k + 1 bins between them and of missing values."""

    edges: list[float]
    shares: list[float]


class Reference(msgspec.Struct, forbid_unknown_fields=True):
    """The distribution of each feature in the history that a bundle learnt from."""

    rows: int
    features: dict[str, Bins]


def reference_of(features: Sequence[str], x: Array) -> Reference:
    """The reference of x f8[n, len(features)], in bins by deciles."""
    return Reference(len(x), {name: _bins(column) for name, column in zip(features, x.T, strict=True)})


def read_reference(bundle: Bundle) -> Reference | None:
    """What the bundle learnt from; None for one that was trained before bundles kept it."""
    if FILE not in bundle.manifest.files:
        return None
    return msgspec.json.decode((bundle.path / FILE).read_bytes(), type=Reference)


def psi(reference: Reference, features: Sequence[str], x: Array) -> dict[str, float]:
    """The PSI of each feature of x f8[n, len(features)] that the reference knows, the largest first."""
    found = {name: _psi(reference.features[name], column)
             for name, column in zip(features, x.T, strict=True) if name in reference.features}
    return dict(sorted(found.items(), key=lambda pair: -pair[1]))


def _bins(column: Array) -> Bins:
    known = column[~np.isnan(column)]
    edges = np.unique(np.quantile(known, _CUTS)) if len(known) else np.zeros(0)
    return Bins(edges.tolist(), _shares(edges, column).tolist())


def _shares(edges: NDArray[np.float64], column: Array) -> Array:
    missing = np.isnan(column)
    counts = np.bincount(np.searchsorted(edges, column[~missing], side="right"), minlength=len(edges) + 1)
    return np.append(counts, missing.sum()) / max(1, len(column))


def _psi(bins: Bins, column: Array) -> float:
    then = np.maximum(bins.shares, _LEAST)
    now = np.maximum(_shares(np.array(bins.edges), column), _LEAST)
    return float(((now - then) * np.log(now / then)).sum())
