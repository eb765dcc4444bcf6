"""A bundle: everything that scores, in one immutable folder named by its content.

Nothing in it executes on loading.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from model.bundles.folder import place
from model.bundles.manifest import (
    FORMAT,
    MANIFEST,
    QUALITY_FILE,
    Manifest,
    damaged,
    digest_of,
    read_manifest,
    verified,
)
from model.detectors.base import Array, Detector
from model.detectors.catalog import known
from model.detectors.online import Online
from model.detectors.trees.boosted import Boosted
from model.drift.reference import REFERENCE_FILE, Reference
from model.ensemble.combiner import Combiner, sigmoid
from model.ensemble.levels import levels
from model.ensemble.rank_average import RankAverage
from model.ensemble.stack import Ensemble
from model.ensemble.thresholds import Amounts, decide, rule
from tidegate.errors import ConfigError, Retry


class Scores(NamedTuple):
    """Probabilities: f8[n, m] of the detectors (uncalibrated; NaN: left out), and the final f8[n].

    `failures` are the errors of detectors that were left out because of them.
    """

    detectors: Array
    final: Array
    failures: Mapping[str, Exception]


def score_of(detector: Detector, inputs: Array) -> Array:
    """How a detector is made to score, when nothing limits it."""
    return detector.score(inputs)


class Bundle:
    """Scores rows of the profile's `values`. The same bits alone and in any batch."""

    def __init__(
        self,
        path: Path,
        bundle_hash: str,
        manifest: Manifest,
        detectors: Sequence[Detector],
        ensemble: Combiner,
    ) -> None:
        self.path = path
        self.hash = bundle_hash
        self.manifest = manifest
        self.detectors = tuple(detectors)
        self.ensemble = ensemble
        self.rule = rule(manifest.thresholds)
        self.feature_names = tuple(manifest.features)
        self.columns = np.array(
            [manifest.values.index(name) for name in manifest.features], np.intp
        )

    @cached_property
    def online(self) -> Online | None:
        """The detector that learns from verdicts, if the profile names one."""
        for detector in self.detectors:
            if isinstance(detector, Online):
                return detector
        return None

    @cached_property
    def levels(self) -> Array:
        """Values of each feature worth trying f8[features, LEVELS], ascending, padded with NaN."""
        cuts = [
            detector.cuts for detector in self.detectors if isinstance(detector, Boosted | Online)
        ]
        return levels(
            [
                np.concatenate([of_detector[feature] for of_detector in cuts] or [np.empty(0)])
                for feature in range(len(self.feature_names))
            ]
        )

    def inputs(self, values: Array) -> Array:
        """The detectors' columns of `values` f8[n, len(profile.values)]."""
        return np.ascontiguousarray(values[:, self.columns])

    def with_weights(self, weights: Array | None) -> Bundle:
        """The same bundle with other online weights (None: the training's).

        Raises ConfigError when there is another number of weights.
        """
        if weights is None or self.online is None:
            return self
        detectors = [
            detector.with_params(weights) if isinstance(detector, Online) else detector
            for detector in self.detectors
        ]
        return Bundle(self.path, self.hash, self.manifest, detectors, self.ensemble)

    def with_thresholds(self, thresholds: Mapping[str, float]) -> Bundle:
        """The same bundle with another rule. Raises ConfigError for what is none."""
        manifest = msgspec.structs.replace(self.manifest, thresholds=dict(thresholds))
        return Bundle(self.path, self.hash, manifest, self.detectors, self.ensemble)

    def score(
        self,
        values: Array,
        weights: Array | None = None,
        without: Collection[str] = (),
        call: Callable[[Detector, Array], Array] = score_of,
    ) -> Scores:
        """Score `values` f8[n, len(profile.values)], NaN where missing.

        Detectors named in `without` are left out. So is one that raises; one whose score is not
        finite is left out of that row. Raises the error when no detector is left: of several a
        Retry, after which one may be back.
        """
        inputs = self.inputs(values)
        margins = np.full((len(inputs), len(self.detectors)), np.nan)
        failures: dict[str, Exception] = {}
        for column, detector in enumerate(self.with_weights(weights).detectors):
            if detector.name in without:
                continue
            try:
                margins[:, column] = call(detector, inputs)
            except Exception as error:  # noqa: BLE001 whatever it is, the others can decide; the caller tells
                failures[detector.name] = error
        if len(failures) == len(self.detectors):
            raise _most_hopeful(failures.values())
        margins[~np.isfinite(margins)] = np.nan
        if np.isnan(margins).any():
            final = self._degraded(margins)
        else:
            final = self.ensemble.combine(margins)
        return Scores(sigmoid(margins), final, failures)

    def _degraded(self, margins: Array) -> Array:
        """The final scores f8[n], each from the detectors that its row has."""
        out = np.empty(len(margins))
        for rows, left_out in patterns(margins):
            combiner = self.ensemble.without(left_out) if left_out else self.ensemble
            out[rows] = combiner.combine(np.delete(margins[rows], left_out, axis=1))
        return out

    def decide(self, scores: Array, amount_minor: Amounts) -> NDArray[np.uint8]:
        """Places in `frames.DECISIONS` u1[n] for final scores f8[n] and minor amounts i8[n]."""
        return decide(self.rule, scores, amount_minor)

    def contributions(self, values: Array, scores: Array | None = None) -> Array:
        """f8[n, 1 + features]: base and each feature's share of the final score's log-odds.

        `scores` of the detectors, as `score` gave them, say which were left out of which rows.
        """
        inputs = self.inputs(values)
        out = np.empty((len(inputs), 1 + len(self.feature_names)))
        for rows, left_out in patterns(np.zeros((len(inputs), 1)) if scores is None else scores):
            combiner = self.ensemble.without(left_out) if left_out else self.ensemble
            out[rows] = combiner.shares(
                [
                    detector.contributions(inputs[rows])
                    for column, detector in enumerate(self.detectors)
                    if column not in left_out
                ]
            )
        return out

    @classmethod
    def load(cls, path: Path) -> Bundle:
        """Read a bundle.

        Raises ConfigError when anything is missing, damaged or not what the folder's name says.
        """
        manifest = read_manifest(path)
        if manifest.format != FORMAT:
            raise ConfigError(
                f"bundle {path} has format {manifest.format}, this version of Tidegate reads "
                f"format {FORMAT}: train a new one with `tidegate train --promote`"
            )
        kinds = known()
        if unknown := [name for name in manifest.detectors if name not in kinds]:
            raise damaged(path, f"this version has no detector {', '.join(unknown)}")
        combiner = RankAverage if RankAverage.file in manifest.files else Ensemble
        expected = {combiner.file}.union(*(kinds[name].files for name in manifest.detectors))
        known_columns = set(manifest.features) <= set(manifest.values)
        if set(manifest.files) - {REFERENCE_FILE, QUALITY_FILE} != expected or not known_columns:
            raise damaged(
                path,
                f"manifest.json must list the files {', '.join(sorted(expected))}, and features "
                "among its values",
            )
        files = {name: verified(path, name, digest) for name, digest in manifest.files.items()}
        detectors = [kinds[name].load(files, manifest.features) for name in manifest.detectors]
        return cls(
            path,
            path.name,
            manifest,
            detectors,
            combiner.load(files[combiner.file], len(detectors)),
        )


def _most_hopeful(errors: Collection[Exception]) -> Exception:
    """A Retry if there is one: the only error that waiting may mend."""
    for error in errors:
        if isinstance(error, Retry):
            return error
    return next(iter(errors))


def patterns(scores: Array) -> Iterator[tuple[NDArray[np.intp], tuple[int, ...]]]:
    """The rows of f8[n, m] that lack (NaN) the same detectors, and the columns of these."""
    missing = np.isnan(scores)
    if not missing.any():
        yield np.arange(len(scores)), ()
        return
    for pattern in np.unique(missing, axis=0):
        yield (
            np.flatnonzero((missing == pattern).all(axis=1)),
            tuple(np.flatnonzero(pattern).tolist()),
        )


def save(
    folder: Path,
    manifest: Manifest,
    detectors: Sequence[Detector],
    ensemble: Combiner,
    reference: Reference | None = None,
    beside: Mapping[str, bytes] | None = None,
) -> Bundle:
    """Write a bundle below `folder`, all or nothing, and read it back. Sets `manifest.files`.

    `beside` are files that nothing scores with: `QUALITY_FILE`.
    """
    files = {ensemble.file: ensemble.save(), **(beside or {})}
    for detector in detectors:
        files |= detector.save()
    if reference is not None:
        files[REFERENCE_FILE] = msgspec.json.encode(reference)
    manifest.files = {name: digest_of(content) for name, content in files.items()}
    files[MANIFEST] = msgspec.json.format(msgspec.json.encode(manifest), indent=1)
    return Bundle.load(place(folder, files))
