"""From the base to the score, step by step, in log-odds: bars that add up."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from dashboard.format import number
from model.bundles.shared import known_bundles
from tidegate.errors import ConfigError
from tidegate.settings import Settings

if TYPE_CHECKING:
    from model.bundles.bundle import Bundle

_LEAST = 1e-9
_SHOWN = 5
_NOTED = 0.005
"""Log-odds between what a bundle says now and what was decided that are worth a word."""
Row = Mapping[str, Any]


class Bar(NamedTuple):
    """A step: `left` and `width` in percent of the chart; `kind` is base, feature, others or
    total.
    """

    kind: str
    name: str
    value: float
    left: float
    width: float


class Waterfall(NamedTuple):
    """The bars, and places of the thresholds in percent.

    `base` says whether the base stands for itself; else it is among the others. `learnt`: what was
    learnt since the training changed the score, and is among the others, too.
    """

    bars: list[Bar]
    review: float | None
    block: float | None
    base: bool
    learnt: bool = False


def kept(row: Row) -> list[tuple[str, float]]:
    """The features' shares that are in a row."""
    return [
        (reason["feature"], float(reason["contribution"]))
        for reason in row["reasons"] or []
        if not reason.get("rule")
    ]


def values_of(row: Row) -> dict[str, str]:
    """The features' values as they are shown beside their shares."""
    values = {name: number(value) for name, value in row["features"].items()}
    return values | {
        reason["feature"]: number(reason.get("value"))
        for reason in row["reasons"] or []
        if not reason.get("rule")
    }


def log_odds(score: float) -> float:
    """Of a score, which may be 0 or 1."""
    within = min(max(score, _LEAST), 1 - _LEAST)
    return math.log(within / (1 - within))


def waterfall(
    score: float,
    shares: Sequence[tuple[str, float]],
    limits: tuple[float, float] | None,
    base: float | None = None,
    *,
    learnt: bool = False,
) -> Waterfall:
    """The steps to a score from its largest known shares; what they leave is one step of its own.

    `limits` are the scores from which it is reviewed and blocked.
    """
    total = log_odds(score)
    rest = total - (base or 0.0) - sum(value for _, value in shares)
    first = ("base", "", rest if base is None else base)
    steps = [first, *(("feature", name, value) for name, value in shares)]
    if base is not None:
        steps.append(("others", "", rest))
    ends = np.cumsum([value for _, _, value in steps])
    starts = [0.0, *ends[:-1].tolist()]
    marks = [log_odds(limit) for limit in limits or ()]
    inside = [0.0, total, *ends.tolist(), *(mark for mark in marks if abs(mark) < 12)]
    low, high = min(inside), max(inside)
    scale = 100 / ((high - low) or 1.0)
    bars = [
        Bar(kind, name, value, scale * (min(start, end) - low), max(0.5, scale * abs(value)))
        for (kind, name, value), start, end in zip(steps, starts, ends.tolist(), strict=True)
    ]
    bars.append(
        Bar("total", "", total, scale * (min(0, total) - low), max(0.5, scale * abs(total)))
    )
    places = [scale * (mark - low) if low <= mark <= high else None for mark in marks]
    review, block = places or (None, None)
    return Waterfall(bars, review, block, base is not None, learnt)


def explained(settings: Settings, row: Row, limits: tuple[float, float] | None) -> Waterfall:
    """With the base that the row's bundle has, and shares computed anew where none were kept.

    Raises ConfigError or Retry where the bundle is not here, or cannot say.
    """
    bundle = _loaded(known_bundles(settings, row["bundle"]), row["bundle"])
    names, known = bundle.manifest.values, row["features"]
    if not set(names) <= known.keys() or set(bundle.manifest.detectors) - row["scores"].keys():
        raise ConfigError("the row was written by another profile")
    values = np.array([[known[name] for name in names]], np.float64)  # None is NaN
    scores = np.array([[row["scores"][name] for name in bundle.manifest.detectors]], np.float64)
    shares = bundle.contributions(values, scores)[0]
    base, by_feature = float(shares[0]), shares[1:]
    strongest = np.argsort(-np.abs(by_feature), kind="stable")[:_SHOWN].tolist()
    computed = [(bundle.feature_names[k], float(by_feature[k])) for k in strongest]
    moved = abs(float(shares.sum()) - log_odds(row["score"])) > _NOTED
    learnt = bundle.online is not None and moved
    return waterfall(row["score"], kept(row) or computed, limits, base, learnt=learnt)


@lru_cache(maxsize=4)
def _loaded(folder: Path, name: str) -> Bundle:
    from model.bundles.bundle import Bundle  # with numba: a server starts without it

    try:
        return Bundle.load(folder / name)
    except ImportError as error:
        raise ConfigError(f"bundle {name} cannot score here: {error}") from error
