"""Card holders whose bank computes the counts and sums itself, as the unsupervised detector has
them.
"""

from __future__ import annotations

import numpy as np

from producers.simulator.scenarios import FRAUD_SHARE, Columns, Floats, Ints

CATEGORIES = ("retail", "food", "transport", "entertainment", "utilities")
_CATEGORY_SHARE = (0.3, 0.25, 0.2, 0.15, 0.1)
_DAY = 86_400
_RATE = 2.4e-4
"""Payments of an ordinary holder in a second, while awake: one in some 70 minutes."""


class CardHolderWorld:
    """Holders with a spending level, a home and a pace of their own.

    Frauds: payments well above the holder's level, a burst, a place far away, and a night's mix of
    these; each overlaps with what honest holders do on a journey, at Christmas, or in a hurry.
    """

    def __init__(self, seed: int, users: int) -> None:
        rng = self.rng = np.random.default_rng([seed, 5])
        self.users = users
        self.level = rng.normal(3.6, 0.7, users)
        self.reach = rng.lognormal(1.6, 0.8, users)
        self.pace = _RATE * rng.lognormal(0, 0.5, users)

    def window(self, start_us: int, seconds: float, n: int) -> Columns:
        """Payments, n of them; `user` and `category` are numbers."""
        rng = self.rng
        user = rng.integers(0, self.users, n)
        # 0: honest; 1: much money, 2: burst, 3: far away, 4: some of each at night
        scheme = np.where(rng.random(n) < FRAUD_SHARE, rng.integers(1, 5, n), 0)
        journey = rng.random(n) < 0.02
        time_us = start_us + self._seconds(seconds, scheme) * 1e6
        amount = np.exp(self.level[user] + rng.normal(0, 0.8, n))
        amount *= np.where(scheme == 1, rng.uniform(4, 20, n), 1.0)
        amount *= np.where(scheme == 4, rng.uniform(2, 6, n), 1.0)
        distance = self.reach[user] * rng.lognormal(0, 0.7, n)
        far = journey | (scheme == 3) | ((scheme == 4) & (rng.random(n) < 0.5))
        distance = np.where(far, rng.lognormal(6.0, 0.9, n), distance)
        pace = self.pace[user] * np.where(scheme == 2, rng.uniform(8, 30, n), 1.0)
        idle = rng.exponential(1, n) / pace / 60
        count = 1 + rng.poisson(pace * 3600)
        earlier = rng.poisson(pace * 36_000) * np.exp(self.level[user] + 0.3)
        return {
            "time_us": time_us.astype(np.int64),
            "user": user,
            "amount": np.round(np.maximum(amount, 0.5), 2),
            "category": rng.choice(len(CATEGORIES), n, p=_CATEGORY_SHARE),
            "location_distance_km": np.round(np.minimum(distance, 20_000.0), 1),
            "is_online": (rng.random(n) < 0.4).astype(np.int64),
            "time_since_last_transaction_minutes": np.round(idle, 1),
            "transaction_count_1h": count,
            "total_amount_24h": np.round(amount + earlier * rng.lognormal(0, 0.3, n), 2),
            "label": (scheme > 0).astype(np.int64),
        }

    def _seconds(self, seconds: float, scheme: Ints) -> Floats:
        """Around the afternoon, a night's mix at night; uniform in a stretch of less than a day."""
        rng, n = self.rng, len(scheme)
        if seconds < _DAY:
            return rng.random(n) * seconds
        of_day = np.mod(rng.normal(50_400, 15_000, n), _DAY)
        of_day = np.where(scheme == 4, rng.uniform(0, 21_600, n), of_day)
        days = np.floor(rng.random(n) * (seconds // _DAY))
        placed: Floats = days * _DAY + of_day
        return placed
