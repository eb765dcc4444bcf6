"""How good scores are, on rows no model has seen."""

from __future__ import annotations

from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from model.detectors.base import Array

_POINTS = 200


def average_precision(scores: Array, y: NDArray[np.bool_]) -> float:
    """Area under precision over recall by steps, as scikit-learn's: equal scores are one step.

    NaN without frauds.
    """
    hits, ends = _steps(scores, y)
    recall = np.diff(hits, prepend=0) / y.sum()
    return float(recall @ (hits / ends))


def auc(scores: Array, y: NDArray[np.bool_]) -> float:
    """Probability that a fraud scores above a legitimate row, ties half."""
    hits, ends = _steps(scores, y)
    misses = ends - hits
    area = np.trapezoid(np.r_[0, hits], np.r_[0, misses])
    return float(area / (hits[-1] * misses[-1]))


def metrics(prefix: str, scores: Array, y: NDArray[np.bool_]) -> dict[str, float]:
    """Average precision and AUC by name."""
    return {
        f"{prefix}average_precision": average_precision(scores, y),
        f"{prefix}auc": auc(scores, y),
    }


def _steps(scores: Array, y: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Frauds, and rows, that score at least each distinct score, from the highest down."""
    order = np.argsort(-scores, kind="stable")
    last = np.r_[np.flatnonzero(np.diff(scores[order])), len(scores) - 1]
    return np.cumsum(y[order], dtype=np.int64)[last], last + 1


def report(scores: Array, y: NDArray[np.bool_]) -> dict[str, float]:
    """What a backtest says of probabilities f8[n] and outcomes bool[n].

    Ranking (`auc`, `average_precision`; left out when all rows are of one class),
    `precision_top_1`, `recall_top_1` and `..._5` when that percentage of the rows is reviewed, and
    calibration: `brier`, `calibration_error` (the mean gap between score and share of frauds over
    ten bins of scores, weighted by rows).
    """
    result = {"rows": len(y), "frauds": int(y.sum()), "base_rate": float(y.mean())}
    if 0 < y.sum() < len(y):
        result |= metrics("", scores, y)
        for percent in (1, 5):
            top = y[np.argsort(-scores, kind="stable")[: max(1, len(y) * percent // 100)]]
            result |= {
                f"precision_top_{percent}": float(top.mean()),
                f"recall_top_{percent}": float(top.sum() / y.sum()),
            }
    error = float(np.mean((scores - y) ** 2))
    return result | {"brier": error, "calibration_error": _calibration_error(scores, y)}


class Curves(NamedTuple):
    """Points of precision over recall and of the ROC, one for each score, from the highest down."""

    scores: Array
    recall: Array
    precision: Array
    false_positive_rate: Array


def curves(scores: Array, y: NDArray[np.bool_]) -> Curves:
    """Of scores f8[n] and outcomes bool[n] of both classes."""
    hits, ends = _steps(scores, y)
    return Curves(
        np.sort(scores)[::-1][ends - 1],
        hits / hits[-1],
        hits / ends,
        (ends - hits) / (len(y) - hits[-1]),
    )


class Bin(NamedTuple):
    """Rows whose scores lie in one tenth of [0, 1], their mean score, and their share of frauds."""

    rows: int
    score: float
    frauds: float


def calibration(scores: Array, y: NDArray[np.bool_]) -> list[Bin]:
    """The bins that have rows, from the lowest scores up (a reliability diagram)."""
    rows, total, frauds = _bins(scores, y)
    return [
        Bin(int(n), float(score / n), float(fraud / n))
        for n, score, fraud in zip(rows, total, frauds, strict=True)
        if n
    ]


def _bins(scores: Array, y: NDArray[np.bool_]) -> Array:
    """f8[3, 10]: rows, sum of scores and frauds of each tenth."""
    tenth = np.minimum((scores * 10).astype(np.intp), 9)
    return np.array([np.bincount(tenth, weights, 10) for weights in (np.ones(len(y)), scores, y)])


def _calibration_error(scores: Array, y: NDArray[np.bool_]) -> float:
    _, total, frauds = _bins(scores, y)
    return float(np.abs(total - frauds).sum() / len(y))


class Quality(msgspec.Struct):
    """How good scores are: `metrics` as `report` names them, and what plots show.

    `calibration` is empty for scores that are no probabilities, `curves` where all rows are of one
    class.
    """

    name: str
    metrics: dict[str, float]
    calibration: list[Bin]
    curves: dict[str, list[float]]
    """Points of `Curves`, thinned out."""


def quality(name: str, scores: Array, y: NDArray[np.bool_], *, calibrated: bool) -> Quality:
    """Of scores f8[n] and outcomes bool[n]; `calibrated` says that they are probabilities."""
    both = bool(y.any() and not y.all())
    figures = report(scores, y) if len(y) else {}
    if not calibrated:
        figures.pop("brier", None)
        figures.pop("calibration_error", None)
    return Quality(
        name,
        figures,
        calibration(scores, y) if calibrated and len(y) else [],
        thinned(curves(scores, y)) if both else {},
    )


def thinned(points: Curves) -> dict[str, list[float]]:
    """Some hundreds of the points, evenly along recall and along the rate of false positives; both
    ends are kept.
    """
    grid = np.linspace(0.0, 1.0, _POINTS)
    by_recall = np.searchsorted(points.recall, grid)
    by_rate = np.searchsorted(points.false_positive_rate, grid)
    kept = np.unique(np.concatenate([[0], by_recall, by_rate]))
    return {name: column[kept].tolist() for name, column in points._asdict().items()}
