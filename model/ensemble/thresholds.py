"""From a score to a decision: thresholds are made once, at training, on rows no detector has seen.

With a cost of each mistake the cheapest action is taken (Elkan, "The foundations of cost-sensitive
learning", IJCAI 2001; reviewing is the reject option of Chow, 1970). With P(fraud) = p, approving
costs p * fraud, blocking (1 - p) * block, and a review its own price, after which no mistake is
left. So a transaction is reviewed from p = review / fraud on and blocked from p = 1 - review /
block on; where the first is not below the second a review never pays, and it is blocked from p =
block / (block + fraud) on. `fraud: amount` makes that a rule of each transaction.
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
from tidegate.profile.thresholds import Appetite, Capacity, Contamination, Cost, Thresholds

Amounts = NDArray[np.int64]
APPETITES: Mapping[Appetite, tuple[float, float]] = {
    "cautious": (0.05, 0.7),
    "balanced": (0.2, 0.9),
    "permissive": (0.5, 0.97),
}
"""P(fraud) from which a transaction is reviewed, and blocked."""
SHARES: Mapping[Appetite, Contamination] = {
    "cautious": Contamination(review=0.02, block=0.002),
    "balanced": Contamination(review=0.01, block=0.001),
    "permissive": Contamination(review=0.003, block=0.0003),
}
"""The same where there are no verdicts: shares of all transactions."""


class Fixed(NamedTuple):
    """The same two scores for every transaction."""

    review: float
    block: float

    def at(self, amount_minor: Amounts) -> tuple[Array, Array]:
        """Both scores f8[n] for amounts i8[n]."""
        return np.full(len(amount_minor), self.review), np.full(len(amount_minor), self.block)


class ByAmount(NamedTuple):
    """What a review and a wrong block cost, where a fraud costs the transaction's amount; all in
    minor units.
    """

    review_cost: float
    block_cost: float

    def at(self, amount_minor: Amounts) -> tuple[Array, Array]:
        """Both scores f8[n] for amounts i8[n]."""
        return cheapest(
            self.review_cost, np.maximum(amount_minor, 0).astype(np.float64), self.block_cost
        )


Rule = Fixed | ByAmount


def rule(thresholds: Mapping[str, float]) -> Rule:
    """What a manifest says. Raises ConfigError when it says something else."""
    for kind in (Fixed, ByAmount):
        if set(thresholds) == set(kind._fields):
            low, high = (thresholds[name] for name in kind._fields)
            if 0 < low < np.inf and 0 < high < np.inf and (kind is ByAmount or low <= high):
                return kind(low, high)
    raise ConfigError(
        f"thresholds {dict(thresholds)}: expected review <= block, or review_cost and block_cost"
    )


def decide(chosen: Rule, scores: Array, amount_minor: Amounts) -> NDArray[np.uint8]:
    """Places in `tidegate.messages.frames.DECISIONS` u1[n] for scores f8[n] and amounts i8[n]."""
    review, block = chosen.at(amount_minor)
    return (scores >= review).astype(np.uint8) + (scores >= block)


def cheapest(review: float, fraud: Array, block: float) -> tuple[Array, Array]:
    """The two scores f8[n] at which the cheapest action changes, for costs of a fraud f8[n]: see
    the module.
    """
    first, last = (
        np.divide(review, fraud, out=np.full(len(fraud), np.inf), where=fraud > 0),
        1 - review / block,
    )
    pays = first < last
    only = block / (block + fraud)
    return np.where(pays, first, only), np.where(pays, last, only)


class HeldOut(NamedTuple):
    """All transactions of the time the ensemble was fitted on: scores f8[n], event times i8[n] in
    us.
    """

    scores: Array
    times: NDArray[np.int64]
    calibrated: bool = True
    """Whether the scores are probabilities of fraud; they are ranks where there were no
    verdicts.
    """


def resolve(profile: Profile, held_out: HeldOut) -> dict[str, float]:
    """The manifest's thresholds for what the profile says. Raises ConfigError for a cost without
    verdicts.
    """
    return _rule_of(profile, profile.models.thresholds, held_out)._asdict()


def _rule_of(profile: Profile, given: Thresholds, held_out: HeldOut) -> Rule:
    if given.cost is not None:
        if not held_out.calibrated:
            raise ConfigError(
                f"{profile.path}: thresholds.cost needs probabilities, and without verdicts in the "
                "history there are only ranks: use contamination, capacity or appetite"
            )
        return _by_cost(given.cost, 10.0**profile.decimals)
    if given.capacity is not None:
        return _at_capacity(given.capacity, held_out)
    shares = (
        SHARES[given.appetite]
        if given.appetite and not held_out.calibrated
        else given.contamination
    )
    if shares is not None:
        return Fixed(
            *(
                _lowest(held_out.scores, int(len(held_out.scores) * share))
                for share in (shares.review, shares.block)
            )
        )
    if given.appetite is not None:
        return Fixed(*APPETITES[given.appetite])
    return Fixed(given.review or 0.0, given.block or 0.0)


def _by_cost(cost: Cost, minor: float) -> Rule:
    if cost.fraud == "amount":
        return ByAmount(cost.review * minor, cost.block * minor)
    review, block = cheapest(cost.review, np.array([cost.fraud]), cost.block)
    return Fixed(float(review[0]), float(block[0]))


def _lowest(scores: Array, room: int) -> float:
    """The lowest threshold that at most `room` of the scores reach."""
    ordered = np.sort(scores)[::-1]
    return (
        float(np.nextafter(ordered[room], np.inf))
        if len(scores) > room
        else float(np.finfo(np.float64).tiny)
    )


def _at_capacity(capacity: Capacity, held_out: HeldOut) -> Fixed:
    """The lowest review score with which no day (UTC) would have had more reviews than there is
    room for.
    """
    waiting = held_out.scores < capacity.block
    days = held_out.times // DAY
    needed = [
        _lowest(held_out.scores[waiting & (days == day)], capacity.reviews_per_day)
        for day in np.unique(days)
    ]
    return Fixed(min(max(needed), capacity.block), capacity.block)
