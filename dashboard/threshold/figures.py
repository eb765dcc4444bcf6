"""What each threshold would do, as figures of a day, from rows and mature verdicts."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from db.blocks.packed import Rows
from db.recent_scores import Verdicts
from model.detectors.base import Array
from model.ensemble.thresholds import APPETITES, SHARES, Fixed, Rule
from model.evaluation.threshold_curves import GRID, Curves, Judged, Strata, at_least, curves
from tidegate.profile import Profile
from tidegate.profile.spec import DAY

WEEK = 7 * DAY
_LEAST_DAYS = 1 / 24
"""A shorter time says nothing of a day: its rows count as those of an hour."""


class Week(NamedTuple):
    """The rows of the newest 7 days: how many days they span, and by threshold how many reach it,
    and their amount in units.
    """

    rows: Rows
    days: float
    alerts: Array
    amount: Array


class Mature(NamedTuple):
    """The curves by the verdicts that are old enough, and over how many days."""

    curves: Curves
    days: float


class Change(NamedTuple):
    """How many rows of the week would be decided otherwise, from and to which decision, and the
    newest of them (`seq`).
    """

    before: int
    after: int
    rows: int
    newest: list[int]


def week_of(rows: Rows, profile: Profile) -> Week:
    """The newest 7 days of these rows."""
    newest = int(rows["event_us"].max()) if len(rows) else 0
    rows = rows[rows["event_us"] > newest - WEEK]
    scores, amounts = rows["score"].astype(np.float64), _units(profile, rows["amount_minor"])
    ones = np.ones(len(rows))
    return Week(rows, _days(rows), at_least(scores, ones), at_least(scores, amounts))


def mature_of(rows: Rows, verdicts: Verdicts, profile: Profile, until_us: int) -> Mature:
    """By the rows up to `until_us`, whose verdicts have had the label delay to come."""
    old = rows[rows["event_us"] < until_us]
    approved = old["decision"] == 0
    days, sizes = np.unique(old["event_us"][approved] // DAY, return_counts=True)
    strata = Strata(
        len(old) - int(sizes.sum()), dict(zip(days.tolist(), sizes.tolist(), strict=True))
    )
    judged = Judged(
        verdicts.scores,
        _units(profile, verdicts.amounts),
        verdicts.fraud,
        verdicts.decisions > 0,
        verdicts.sampled,
        verdicts.event_us // DAY,
    )
    return Mature(curves(judged, strata), _days(old))


def _days(rows: Rows) -> float:
    if not len(rows):
        return _LEAST_DAYS
    return max(_LEAST_DAYS, float(np.ptp(rows["event_us"])) / DAY)


def _units(profile: Profile, minor: NDArray[np.int64]) -> Array:
    """Amounts in units; 0 without a money field, and where they have several currencies."""
    if profile.money_field is None or profile.currency_field:
        return np.zeros(len(minor))
    return np.asarray(minor / 10.0**profile.decimals)


def document(week: Week, mature: Mature) -> dict[str, list[float | None]]:
    """What the page's script shows for each threshold; what is not known is None."""
    found, unknown = mature.curves, np.full(len(GRID), np.nan)
    columns = {
        "threshold": GRID,
        "alerts": week.alerts / week.days,
        "amount": week.amount / week.days,
        "saved": found.fraud_amount / mature.days if found.verdicts else unknown,
        "good": found.legitimate / mature.days if found.verdicts else unknown,
        "precision": found.precision.value,
        "precision_low": found.precision.low,
        "precision_high": found.precision.high,
        "recall": found.recall.value,
        "recall_low": found.recall.low,
        "recall_high": found.recall.high,
    }
    return {name: list(map(_json, column.tolist())) for name, column in columns.items()}


def _json(value: float) -> float | None:
    return round(value, 6) if np.isfinite(value) else None


def at(document: dict[str, list[float | None]], threshold: float) -> dict[str, float | None]:
    """The figures of the nearest threshold that was looked at, not above it."""
    place = max(0, int(np.searchsorted(GRID, threshold, side="right")) - 1)
    return {name: column[place] for name, column in document.items()}


def presets(rows: Rows, own: Rule, *, calibrated: bool) -> dict[str, Fixed]:
    """Thresholds to begin with, by name: the bundle's own, and three appetites."""
    found = {"own": own} if isinstance(own, Fixed) else {}
    if calibrated:
        return found | {name: Fixed(*pair) for name, pair in APPETITES.items()}
    if not len(rows):
        return found
    scores = np.sort(rows["score"].astype(np.float64))
    return found | {
        name: Fixed(_reached_by(scores, shares.review), _reached_by(scores, shares.block))
        for name, shares in SHARES.items()
    }


def _reached_by(ordered: Array, share: float) -> float:
    """The score that so small a share reaches."""
    place = min(len(ordered) - 1, int(len(ordered) * (1 - share)))
    return float(min(1.0, round(ordered[place], 4)))


def changes(rows: Rows, before: Rule, after: Rule, shown: int) -> list[Change]:
    """What would be decided otherwise by the scores, most severe first."""
    scores = rows["score"].astype(np.float64)
    then, now = (_decide(rule, scores, rows["amount_minor"]) for rule in (before, after))
    found = []
    for old, new in ((0, 2), (1, 2), (0, 1), (2, 1), (1, 0), (2, 0)):
        places = np.flatnonzero((then == old) & (now == new))
        newest = np.sort(rows["seq"][places])[::-1][:shown].tolist()
        if len(places):
            found.append(Change(old, new, len(places), newest))
    return found


def _decide(rule: Rule, scores: Array, amounts: NDArray[np.int64]) -> NDArray[np.uint8]:
    """As `model.ensemble.thresholds.decide`, for scores that are rounded to f4."""
    limits = rule.at(amounts)
    review, block = (limit.astype(np.float32).astype(np.float64) for limit in limits)
    return (scores >= review).astype(np.uint8) + (scores >= block)


def chart(column: list[float | None]) -> str:
    """A column by threshold as the points of an SVG polyline, 100 wide and 100 high."""
    last = len(column) - 1
    return " ".join(
        f"{100 * place / last:.2f},{100 * (1 - min(1.0, value)):.2f}"
        for place, value in enumerate(column)
        if value is not None
    )


def band(low: list[float | None], high: list[float | None]) -> str:
    """The area between two columns, as the points of an SVG polygon."""
    known = [n for n, (a, b) in enumerate(zip(low, high, strict=True)) if None not in (a, b)]
    last = len(low) - 1
    corners: list[tuple[int, Any]] = [(n, high[n]) for n in known]
    corners += [(n, low[n]) for n in reversed(known)]
    return " ".join(f"{100 * n / last:.2f},{100 * (1 - min(1.0, v)):.2f}" for n, v in corners)


def place_of(threshold: float) -> int:
    """The place of a threshold among those of the slider."""
    return int(np.abs(GRID - threshold).argmin())
