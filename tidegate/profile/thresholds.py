"""The section `thresholds`: two scores, or what a user knows instead of scores. `model.ensemble`
makes scores of it.
"""

from __future__ import annotations

from typing import Literal

import msgspec

Appetite = Literal["cautious", "balanced", "permissive"]


class _Strict(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Refuses what it does not know."""


class Cost(_Strict):
    """What it costs, in the money field's units, to review one transaction, to let a fraud pass,
    and to block a legitimate one. `fraud: amount` is the transaction's own amount.
    """

    review: float
    fraud: float | Literal["amount"]
    block: float


class Capacity(_Strict):
    """How many reviews a day people can do. Transactions with a score from `block` on are blocked
    without a review.
    """

    reviews_per_day: int
    block: float = 0.9


class Contamination(_Strict):
    """Shares of all transactions: what is reviewed or blocked, and what of it is blocked."""

    review: float
    block: float


class Thresholds(_Strict):
    """Scores from which a transaction is sent to review, or blocked; or one of the other forms, and
    no scores.
    """

    review: float | None = None
    block: float | None = None
    cost: Cost | None = None
    capacity: Capacity | None = None
    contamination: Contamination | None = None
    appetite: Appetite | None = None


def fault(given: Thresholds, *, time: bool, money: bool) -> str:
    """What is wrong with it in a profile with or without a time and a money field; "" when nothing
    is.
    """
    forms = [
        form
        for form in (given.cost, given.capacity, given.contamination, given.appetite)
        if form is not None
    ]
    scores = (given.review, given.block)
    if len(forms) + any(score is not None for score in scores) != 1:
        return "expected review and block, or one of cost, capacity, contamination and appetite"
    if given.cost is not None:
        return _cost_fault(given.cost, money=money)
    if given.capacity is not None:
        return _capacity_fault(given.capacity, time=time)
    if given.contamination is not None:
        shares = given.contamination
        return (
            ""
            if 0 < shares.block <= shares.review < 1
            else "contamination: expected 0 < block <= review < 1"
        )
    if not forms and not 0 < (given.review or 0) <= (given.block or 0) <= 1:
        return "expected 0 < review <= block <= 1"
    return ""


def _cost_fault(cost: Cost, *, money: bool) -> str:
    if cost.fraud == "amount" and not money:
        return "cost.fraud: a profile without `money` knows no amount: give a number"
    return (
        ""
        if all(
            0 < price <= 1e12
            for price in (cost.review, cost.block, cost.fraud)
            if not isinstance(price, str)
        )
        else "cost: expected positive numbers"
    )


def _capacity_fault(capacity: Capacity, *, time: bool) -> str:
    if not time:
        return "capacity: a profile without `time` has no days"
    return (
        ""
        if capacity.reviews_per_day > 0 and 0 < capacity.block <= 1
        else ("capacity: expected at least 1 review a day, and 0 < block <= 1")
    )
