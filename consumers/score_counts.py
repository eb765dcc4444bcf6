"""What the score stage counts once a batch is committed."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from model.bundles.bundle import Bundle, Scores
from model.detectors.base import Array
from tidegate import metrics
from tidegate.messages.frames import DECISIONS


def count_degraded(bundle: Bundle, scores: Scores) -> None:
    """Count what was decided without a detector."""
    if np.isnan(scores.detectors).any():
        counts = np.isnan(scores.detectors).sum(axis=0).tolist()
        for detector, count in zip(bundle.detectors, counts, strict=True):
            metrics.DEGRADED.labels(detector.name).inc(count)


def count_decisions(decisions: NDArray[np.uint8], scores: Array) -> None:
    """Count decisions u1[n], and scores f8[n] by size."""
    counts = np.bincount(decisions, minlength=len(DECISIONS)).tolist()
    for name, count in zip(DECISIONS, counts, strict=True):
        metrics.DECISIONS.labels(name).inc(count)
    metrics.observe_many(metrics.SCORES, scores)
