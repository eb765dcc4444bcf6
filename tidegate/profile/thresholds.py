"""The section `thresholds`: two scores, or what a user knows instead of scores.

`model.ensemble` turns the other forms into scores.
"""

from __future__ import annotations

from typing import Literal

import msgspec

Appetite = Literal["cautious", "balanced", "permissive"]


class _Strict(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Refuses what it does not know."""


class Cost(_Strict):
    """What it costs to review a transaction, to let a fraud pass, and to block a legitimate one.

    In the money field's units; `fraud: amount` is the transaction's own amount.
    """

    review: float
    fraud: float | Literal["amount"]
    block: float


class Capacity(_Strict):
    """How many reviews a day people can do.

    Transactions with a score from `block` on are blocked without a review.
    """

    reviews_per_day: int
    block: float = 0.9


class Contamination(_Strict):
    """Shares of all transactions: what is reviewed or blocked, and what of it is blocked."""

    review: float
    block: float


class Thresholds(_Strict):
    """Scores from which a transaction is reviewed or blocked, or one of the other forms instead."""

    review: float | None = None
    block: float | None = None
    cost: Cost | None = None
    capacity: Capacity | None = None
    contamination: Contamination | None = None
    appetite: Appetite | None = None


def fault(thresholds: Thresholds, *, time: bool, money: bool) -> str:
    """What is wrong with the section, given whether the profile has time and money; or ""."""
    given = (
        thresholds.cost,
        thresholds.capacity,
        thresholds.contamination,
        thresholds.appetite,
    )
    forms = sum(form is not None for form in given)
    scores = thresholds.review is not None or thresholds.block is not None
    if forms + scores != 1:
        return "expected review and block, or one of cost, capacity, contamination and appetite"
    if thresholds.cost is not None:
        return _cost_fault(thresholds.cost, money=money)
    if thresholds.capacity is not None:
        return _capacity_fault(thresholds.capacity, time=time)
    if thresholds.contamination is not None:
        return _contamination_fault(thresholds.contamination)
    if scores and not 0 < (thresholds.review or 0) <= (thresholds.block or 0) <= 1:
        return "expected 0 < review <= block <= 1"
    return ""


def _cost_fault(cost: Cost, *, money: bool) -> str:
    if cost.fraud == "amount" and not money:
        return "cost.fraud: without `money` in one currency there is no amount: give a number"
    prices = [
        price for price in (cost.review, cost.block, cost.fraud) if not isinstance(price, str)
    ]
    return "" if all(0 < price <= 1e12 for price in prices) else "cost: expected positive numbers"


def _capacity_fault(capacity: Capacity, *, time: bool) -> str:
    if not time:
        return "capacity: a profile without `time` has no days"
    if capacity.reviews_per_day > 0 and 0 < capacity.block <= 1:
        return ""
    return "capacity: expected at least 1 review a day, and 0 < block <= 1"


def _contamination_fault(shares: Contamination) -> str:
    if 0 < shares.block <= shares.review < 1:
        return ""
    return "contamination: expected 0 < block <= review < 1"
