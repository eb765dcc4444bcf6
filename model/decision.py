"""From a score to a decision: thresholds are made once, at training, on rows no detector has seen.

With a cost of each mistake the cheapest action is taken (Elkan, "The foundations of cost-sensitive learning", IJCAI
2001; reviewing is the reject option of Chow, 1970). With P(fraud) = p, approving costs p * fraud, blocking
(1 - p) * block, and a review its own price, after which no mistake is left. So a transaction is reviewed from
p = review / fraud on and blocked from p = 1 - review / block on; where the first is not below the second a review never
pays, and it is blocked from p = block / (block + fraud) on. `fraud: amount` makes that a rule of each transaction.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from model.detectors.base import Array
from tidegate.errors import ConfigError
from tidegate.profile import Profile
from tidegate.profile.spec import DAY
from tidegate.profile.thresholds import Appetite, Capacity

Amounts = NDArray[np.int64]
APPETITES: Mapping[Appetite, tuple[float, float]] = {
    "cautious": (0.05, 0.7), "balanced": (0.2, 0.9), "permissive": (0.5, 0.97)}
"""P(fraud) from which a transaction is reviewed, and blocked."""


class Fixed(NamedTuple):
    """The same two scores for every transaction."""

    review: float
    block: float

    def at(self, amount_minor: Amounts) -> tuple[Array, Array]:
        """Both scores f8[n] for amounts i8[n]."""
        return np.full(len(amount_minor), self.review), np.full(len(amount_minor), self.block)


class ByAmount(NamedTuple):
    """What a review and a wrong block cost, where a fraud costs the transaction's amount; all in minor units."""

    review_cost: float
    block_cost: float

    def at(self, amount_minor: Amounts) -> tuple[Array, Array]:
        """Both scores f8[n] for amounts i8[n]."""
        return cheapest(self.review_cost, np.maximum(amount_minor, 0).astype(np.float64), self.block_cost)


Rule = Fixed | ByAmount


def rule(thresholds: Mapping[str, float]) -> Rule:
    """What a manifest says. Raises ConfigError when it says something else."""
    for kind in (Fixed, ByAmount):
        if set(thresholds) == set(kind._fields):
            low, high = (thresholds[name] for name in kind._fields)
            if 0 < low < np.inf and 0 < high < np.inf and (kind is ByAmount or low <= high):
                return kind(low, high)
    raise ConfigError(f"thresholds {dict(thresholds)}: expected review <= block, or review_cost and block_cost")


def decide(chosen: Rule, scores: Array, amount_minor: Amounts) -> NDArray[np.uint8]:
    """Places in `tidegate.messages.DECISIONS` u1[n] for scores f8[n] and amounts i8[n]."""
    review, block = chosen.at(amount_minor)
    return (scores >= review).astype(np.uint8) + (scores >= block)


def cheapest(review: float, fraud: Array, block: float) -> tuple[Array, Array]:
    """The two scores f8[n] at which the cheapest action changes, for costs of a fraud f8[n]: see the module."""
    first, last = np.divide(review, fraud, out=np.full(len(fraud), np.inf), where=fraud > 0), 1 - review / block
    pays = first < last
    only = block / (block + fraud)
    return np.where(pays, first, only), np.where(pays, last, only)


class HeldOut(NamedTuple):
    """All transactions of the time the stack was fitted on: scores f8[n], event times i8[n] in us."""

    scores: Array
    times: NDArray[np.int64]


def resolve(profile: Profile, held_out: HeldOut) -> dict[str, float]:
    """The manifest's thresholds for what the profile says."""
    given = profile.models.thresholds
    if given.cost is not None:
        minor = 10.0**profile.decimals
        if given.cost.fraud == "amount":
            return ByAmount(given.cost.review * minor, given.cost.block * minor)._asdict()
        review, block = cheapest(given.cost.review, np.array([given.cost.fraud]), given.cost.block)
        return Fixed(float(review[0]), float(block[0]))._asdict()
    if given.capacity is not None:
        return _at_capacity(given.capacity, held_out)._asdict()
    if given.appetite is not None:
        return Fixed(*APPETITES[given.appetite])._asdict()
    return {"review": given.review or 0.0, "block": given.block or 0.0}


def _at_capacity(capacity: Capacity, held_out: HeldOut) -> Fixed:
    """The lowest review score with which no day (UTC) would have had more reviews than there is room for."""
    review, days = 0.0, held_out.times // DAY
    for day in np.unique(days):
        scores = held_out.scores[days == day]
        waiting = np.sort(scores[scores < capacity.block])[::-1]
        if len(waiting) > capacity.reviews_per_day:
            review = max(review, float(np.nextafter(waiting[capacity.reviews_per_day], np.inf)))
    return Fixed(min(max(review, np.finfo(np.float64).tiny), capacity.block), capacity.block)
