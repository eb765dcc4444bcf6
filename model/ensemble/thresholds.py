"""From a score to a decision. Thresholds are made once, at training, on rows no detector has seen.

Where the profile gives the cost of each mistake, the cheapest action is taken (Elkan, "The
foundations of cost-sensitive learning", IJCAI 2001; reviewing is the reject option of Chow, 1970).
With P(fraud) = p:

    approving costs    p * fraud
    blocking costs     (1 - p) * block
    reviewing costs    review, after which no mistake is left

So a transaction is reviewed from p = review / fraud on, and blocked from p = 1 - review / block on.
Where the first is not below the second, a review never pays: it is blocked from
p = block / (block + fraud) on. With `fraud: amount` that is worked out for each transaction.
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
    """The costs of a review and of a wrong block, in minor units; a fraud costs the amount."""

    review_cost: float
    block_cost: float

    def at(self, amount_minor: Amounts) -> tuple[Array, Array]:
        """Both scores f8[n] for amounts i8[n]."""
        return cheapest(
            self.review_cost, np.maximum(amount_minor, 0).astype(np.float64), self.block_cost
        )


Rule = Fixed | ByAmount


def rule(thresholds: Mapping[str, float]) -> Rule:
    """The rule in a manifest. Raises ConfigError when it is neither of the two."""
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
    """Scores f8[n] from which reviewing, and from which blocking is cheapest.

    `fraud` f8[n] is what each fraud would cost; the module's docstring has the derivation.
    """
    reviewed = np.divide(review, fraud, out=np.full(len(fraud), np.inf), where=fraud > 0)
    blocked = 1 - review / block
    pays = reviewed < blocked
    without_review = block / (block + fraud)
    return np.where(pays, reviewed, without_review), np.where(pays, blocked, without_review)


class HeldOut(NamedTuple):
    """All transactions of the ensemble's slice of history: scores f8[n], event times i8[n] us."""

    scores: Array
    times: NDArray[np.int64]
    calibrated: bool = True
    """Whether the scores are probabilities of fraud; without verdicts they are ranks."""


def resolve(profile: Profile, held_out: HeldOut) -> dict[str, float]:
    """The profile's thresholds as a manifest keeps them.

    Raises ConfigError for a cost in a history without verdicts.
    """
    return _rule_of(profile, profile.models.thresholds, held_out)._asdict()


def _rule_of(profile: Profile, thresholds: Thresholds, held_out: HeldOut) -> Rule:
    if thresholds.cost is not None:
        if not held_out.calibrated:
            raise ConfigError(
                f"{profile.path}: thresholds.cost needs probabilities, and without verdicts in the "
                "history there are only ranks: use contamination, capacity or appetite"
            )
        return _by_cost(thresholds.cost, 10.0**profile.decimals)
    if thresholds.capacity is not None:
        return _at_capacity(thresholds.capacity, held_out)
    shares = thresholds.contamination
    if thresholds.appetite and not held_out.calibrated:
        shares = SHARES[thresholds.appetite]
    if shares is not None:
        scores, n = held_out.scores, len(held_out.scores)
        return Fixed(
            _lowest(scores, int(n * shares.review)), _lowest(scores, int(n * shares.block))
        )
    if thresholds.appetite is not None:
        return Fixed(*APPETITES[thresholds.appetite])
    return Fixed(thresholds.review or 0.0, thresholds.block or 0.0)


def _by_cost(cost: Cost, minor: float) -> Rule:
    if cost.fraud == "amount":
        return ByAmount(cost.review * minor, cost.block * minor)
    review, block = cheapest(cost.review, np.array([cost.fraud]), cost.block)
    return Fixed(float(review[0]), float(block[0]))


def _lowest(scores: Array, room: int) -> float:
    """The lowest threshold that at most `room` of the scores reach."""
    ordered = np.sort(scores)[::-1]
    if len(scores) <= room:
        return float(np.finfo(np.float64).tiny)
    return float(np.nextafter(ordered[room], np.inf))


def _at_capacity(capacity: Capacity, held_out: HeldOut) -> Fixed:
    """The lowest review score at which no day (UTC) would have had too many reviews."""
    waiting = held_out.scores < capacity.block
    days = held_out.times // DAY
    needed = [
        _lowest(held_out.scores[waiting & (days == day)], capacity.reviews_per_day)
        for day in np.unique(days)
    ]
    return Fixed(min(max(needed), capacity.block), capacity.block)
