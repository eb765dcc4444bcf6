"""How far data has moved from what a bundle learnt from: the population stability index and the
Kolmogorov-Smirnov distance of each feature.

PSI = sum over bins of (share now - share then) * ln(share now / share then). By convention below
0.1 nothing has changed, above 0.25 something has (Siddiqi, Credit Risk Scorecards, 2006); at 1
about half of the rows are elsewhere. KS = the largest difference between the two cumulative
distributions, here at the bins' edges: at most 1.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from model.detectors.base import Array

REFERENCE_FILE = "reference.json"
"""The bundle's file with the reference of its training."""
_CUTS = np.arange(1, 10) / 10
_MISSING = len(_CUTS) + 1
BINS = _MISSING + 1
"""Columns of a count: as many bins between the edges as there can be, and one of missing values."""
_LEAST = 1e-4
"""An empty bin counts as this share."""
_CACHED = 1000
"""Rows counted at a time: what they are compared with all edges to stays in the processor's
cache.
"""
Counts = NDArray[np.int64]


class Bins(msgspec.Struct, forbid_unknown_fields=True):
    """One feature in training: `edges` f8[k], the shares of the k + 1 bins between them, and last
    the share of missing values.
    """

    edges: list[float]
    shares: list[float]

    def __post_init__(self) -> None:
        if len(self.edges) > len(_CUTS) or len(self.shares) != len(self.edges) + 2:
            raise ValueError(f"{len(self.edges)} edges with {len(self.shares)} shares")


class Reference(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """How each feature was distributed in a bundle's history, and its score in the test."""

    rows: int
    features: dict[str, Bins]
    score: Bins | None = None
    """None in bundles that were trained before they kept it."""


class Grid:
    """The bins of several columns, and how they were filled in training. None stands for a column
    of which nothing is known.
    """

    def __init__(self, columns: Sequence[Bins | None]) -> None:
        self._edges = np.full((len(_CUTS), 1, len(columns)), np.nan)
        self._then = np.full((len(columns), BINS), np.nan)
        for column, bins in enumerate(columns):
            if bins is not None:
                self._edges[: len(bins.edges), 0, column] = bins.edges
                self._then[column] = 0.0
                self._then[column, : len(bins.edges) + 1] = bins.shares[:-1]
                self._then[column, _MISSING] = bins.shares[-1]

    def bins(self, x: Array) -> NDArray[np.uint8]:
        """The bin of each of x f8[n, columns]."""
        bins = np.empty(x.shape, np.uint8)
        for start in range(0, len(x), _CACHED):
            rows = x[start : start + _CACHED]
            above = rows >= self._edges  # no value is at or above an edge that is NaN
            own = above.view(np.uint8).sum(axis=0, dtype=np.uint8)
            own[np.isnan(rows)] = _MISSING
            bins[start : start + _CACHED] = own
        return bins

    def count(self, x: Array) -> Counts:
        """How many of x f8[n, columns] are in each bin: i8[columns, BINS]."""
        return counted(self.bins(x))

    def psi(self, counts: Counts) -> Array:
        """The PSI f8[columns] of what was counted."""
        then = np.maximum(self._then, _LEAST)
        now = np.maximum(counts / max(1, counts[0].sum()), _LEAST)
        return np.asarray(((now - then) * np.log(now / then)).sum(axis=1))

    def ks(self, counts: Counts) -> Array:
        """The KS f8[columns] among values that are not missing.

        It is 1 where the reference has such values and all are missing now.
        """
        then = _cumulative(self._then)
        now = _cumulative(counts)
        return np.asarray(np.abs(now - then).max(axis=1))


def counted(bins: NDArray[np.uint8]) -> Counts:
    """How many of bins u1[n, columns] are each: i8[columns, BINS]."""
    first_bins = np.arange(bins.shape[1]) * BINS
    places = np.add(bins, first_bins, dtype=np.intp).ravel()
    return np.bincount(places, minlength=bins.shape[1] * BINS).reshape(-1, BINS)


def reference_of(features: Sequence[str], x: Array, scores: Array) -> Reference:
    """The reference of x f8[n, len(features)] and of scores f8[m], in bins by deciles."""
    bins = {name: _bins(column) for name, column in zip(features, x.T, strict=True)}
    return Reference(len(x), bins, _bins(scores))


def psi(reference: Reference, features: Sequence[str], x: Array) -> dict[str, float]:
    """The PSI of each feature of x f8[n, len(features)] that is in the reference, largest first."""
    known = [column for column, name in enumerate(features) if name in reference.features]
    names = [features[column] for column in known]
    grid = Grid([reference.features[name] for name in names])
    moved = dict(zip(names, grid.psi(grid.count(x[:, known])).tolist(), strict=True))
    return dict(sorted(moved.items(), key=lambda pair: -pair[1]))


def _bins(column: Array) -> Bins:
    known = column[~np.isnan(column)]
    edges = np.unique(np.quantile(known, _CUTS)) if len(known) else np.zeros(0)
    return Bins(edges.tolist(), _shares(edges, column).tolist())


def _shares(edges: NDArray[np.float64], column: Array) -> Array:
    missing = np.isnan(column)
    counts = np.bincount(
        np.searchsorted(edges, column[~missing], side="right"), minlength=len(edges) + 1
    )
    return np.append(counts, missing.sum()) / max(1, len(column))


def _cumulative(counts: NDArray[np.int64] | Array) -> Array:
    """The cumulative distribution f8[columns, BINS - 1] at the bins' upper edges.

    It is zero where all values are missing.
    """
    summed = np.cumsum(counts[:, :_MISSING], axis=1)
    whole = summed[:, -1:]
    return np.asarray(summed / np.where(whole == 0, 1, whole))
