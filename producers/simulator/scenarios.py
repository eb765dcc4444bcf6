"""Card traffic: customers with habits, and the three frauds that hide among them.

Everything is drawn by vectorised numpy from one seed. `window` makes the traffic of a stretch of
time; what a scenario schedules after the stretch's end is part of the answer too, so that bursts
are never cut.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Columns = dict[str, NDArray[Any]]
Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

DAY_US = 86_400_000_000
FRAUD_SHARE = 0.01
MERCHANT_TYPES = (
    "grocery",
    "restaurant",
    "fuel",
    "travel",
    "electronics",
    "clothing",
    "entertainment",
    "health",
)
CATEGORIES = (5411, 5812, 5541, 4722, 5732, 5651, 7832, 5912)
"""The merchant category code (ISO 18245) of each of MERCHANT_TYPES."""
DEVICES = ("mobile", "desktop", "pos", "tablet")
_TYPE_LEVEL = np.array([0.0, -0.1, 0.2, 1.3, 1.1, 0.4, -0.3, 0.1])
_TYPE_ONLINE = np.array([0.1, 0.25, 0.02, 0.7, 0.55, 0.5, 0.6, 0.4])
_PREFERRED = 6


class World(Protocol):
    """A population that makes traffic."""

    def window(self, start_us: int, seconds: float, n: int) -> Columns:
        """About `n` events that begin within `seconds` of `start_us`, unsorted.

        Columns: the fields, `time_us` and `label`.
        """
        ...


def names(prefix: str, codes: Ints, width: int) -> NDArray[Any]:
    """`prefix` and each code, as an array of str objects."""
    return np.array([f"{prefix}{code:0{width}d}" for code in codes.tolist()], dtype=object)


def join(parts: list[Columns]) -> Columns:
    """The parts, one after the other."""
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def bursts(
    rng: np.random.Generator, n: int, low: int, high: int, gap_s: float
) -> tuple[Ints, Floats]:
    """Cut about n events into bursts of low to high: each one's burst, and its seconds in it."""
    sizes = rng.integers(low, high + 1, size=max(1, round(2 * n / (low + high))))
    burst = np.repeat(np.arange(len(sizes)), sizes)
    gaps = rng.exponential(gap_s, len(burst))
    total = np.cumsum(gaps)
    first = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    return burst, total - total[first][burst]


class CardWorld:
    """Accounts, merchants and their habits, which move on within about `drift_us`."""

    def __init__(
        self, seed: int, accounts: int, merchants: int, drift_us: int, begin_us: int
    ) -> None:
        rng = self.rng = np.random.default_rng([seed, 1])
        self.seed, self.drift_us, self.begin_us = seed, drift_us, begin_us
        self.accounts, self.merchants = accounts, merchants
        activity = rng.gamma(0.8, size=accounts) + 0.02
        self.activity = np.cumsum(activity) / activity.sum()
        self.level = rng.normal(3.1, 0.6, accounts)
        self.spread = rng.uniform(0.35, 0.85, accounts)
        self.hour = rng.normal(14, 3.5, accounts)
        self.device = rng.integers(0, len(DEVICES), accounts)
        self.online = rng.beta(2, 3, accounts)
        popularity = rng.pareto(1.1, merchants) + 0.05
        self.popularity = np.cumsum(popularity) / popularity.sum()
        self.kind = rng.integers(0, len(MERCHANT_TYPES), merchants)

    def window(self, start_us: int, seconds: float, n: int) -> Columns:
        """About n events, FRAUD_SHARE of them frauds."""
        frauds = self.rng.poisson(n * FRAUD_SHARE)
        shares = self.rng.multinomial(frauds, [0.35, 0.35, 0.3])
        parts = [self._normal(start_us, seconds, n - frauds)]
        for make, share in zip(
            (self._testing, self._takeover, self._compromise), shares, strict=True
        ):
            if share:
                parts.append(make(start_us, seconds, int(share)))
        return join(parts)

    def _pick_accounts(self, n: int) -> Ints:
        return np.minimum(np.searchsorted(self.activity, self.rng.random(n)), self.accounts - 1)

    def _pick_merchants(self, account: Ints, loyal: float) -> Ints:
        rng, n = self.rng, len(account)
        anywhere = np.minimum(np.searchsorted(self.popularity, rng.random(n)), self.merchants - 1)
        slot = np.minimum(rng.geometric(0.4, n), _PREFERRED)
        favourite = (account * 7919 + slot * 104_729 + slot * slot * account) % self.merchants
        return np.where(rng.random(n) < loyal, favourite, anywhere)

    def _phase(self, time_us: Ints) -> Floats:
        return np.tanh(np.maximum(time_us - self.begin_us, 0) / self.drift_us)

    def _times(self, start_us: int, seconds: float, account: Ints) -> Ints:
        """Uniform in a short window; in one of days, by each account's hours."""
        rng, n = self.rng, len(account)
        if seconds < 86_400:
            return start_us + (rng.random(n) * seconds * 1e6).astype(np.int64)
        hours = np.mod(self.hour[account] + rng.normal(0, 3, n), 24)
        days = np.floor(rng.random(n) * seconds / 86_400)
        return start_us + ((days * 24 + hours) * 3.6e9).astype(np.int64)

    def _event(
        self,
        time_us: Ints,
        account: Ints,
        merchant: Ints,
        amount: Floats,
        *,
        device: Ints,
        online: NDArray[Any],
        distance: Floats,
        label: int,
    ) -> Columns:
        near = distance < 60
        doubt = self.rng.random(len(account)) < 0.02
        return {
            "time_us": time_us,
            "user_id": names("user_", account, 7),
            "merchant": names("merchant_", merchant, 5),
            "amount": np.round(np.clip(amount, 0.5, 50_000), 2),
            "kind": self.kind[merchant],
            "device": device,
            "is_online": online,
            "location_distance_km": np.round(np.minimum(distance, 19_000), 1),
            "location_match": near ^ doubt,
            "label": np.full(len(account), label, np.int64),
        }

    def _habit(self, account: Ints, merchant: Ints, time_us: Ints) -> Floats:
        """An amount as this customer spends it at such a merchant."""
        level = self.level[account] + _TYPE_LEVEL[self.kind[merchant]] + 0.2 * self._phase(time_us)
        return np.asarray(np.exp(level + self.spread[account] * self.rng.normal(size=len(account))))

    def _distance(self, n: int, travelling: float) -> Floats:
        rng = self.rng
        return np.where(rng.random(n) < travelling, rng.lognormal(6, 1, n), rng.exponential(9, n))

    def _normal(self, start_us: int, seconds: float, n: int) -> Columns:
        rng = self.rng
        account = self._pick_accounts(n)
        time_us = self._times(start_us, seconds, account)
        merchant = self._pick_merchants(account, 0.8)
        amount = self._habit(account, merchant, time_us)
        amount = np.where(
            rng.random(n) < 0.05, rng.uniform(0.5, 6, n), amount
        )  # tickets, coffee, subscriptions
        amount = np.where(
            rng.random(n) < 0.01, amount * rng.uniform(3, 9, n), amount
        )  # the yearly big purchase
        device = np.where(
            rng.random(n) < 0.06, rng.integers(0, len(DEVICES), n), self.device[account]
        )
        online = rng.random(n) < (self.online[account] + _TYPE_ONLINE[self.kind[merchant]]) / 2
        return self._event(
            time_us,
            account,
            merchant,
            amount,
            device=device,
            online=online,
            distance=self._distance(n, 0.04),
            label=0,
        )

    def _testing(self, start_us: int, seconds: float, n: int) -> Columns:
        """Card testing: a burst of tiny payments at a few shops, then sometimes a large one."""
        rng = self.rng
        burst, after = bursts(rng, n, 4, 12, 20)
        count = int(burst[-1]) + 1
        account = self._pick_accounts(count)[burst]
        shop = rng.integers(0, self.merchants, (count, 2))
        merchant = shop[burst, rng.integers(0, 2, len(burst))]
        time_us = self._begin(start_us, seconds, count)[burst] + (after * 1e6).astype(np.int64)
        last = np.append(burst[1:] != burst[:-1], True) & (rng.random(len(burst)) < 0.5)
        amount = np.where(
            last,
            self._habit(account, merchant, time_us) * rng.uniform(2, 6, len(burst)),
            rng.uniform(0.5, 5, len(burst)),
        )
        return self._event(
            time_us,
            account,
            merchant,
            amount,
            device=rng.integers(0, 2, count)[burst],
            online=rng.random(len(burst)) < 0.9,
            distance=self._distance(len(burst), 0.25),
            label=1,
        )

    def _takeover(self, start_us: int, seconds: float, n: int) -> Columns:
        """Account takeover: another device, far from home, larger amounts at unusual shops."""
        rng = self.rng
        burst, after = bursts(rng, n, 2, 7, 600)
        count, n = int(burst[-1]) + 1, len(burst)
        account = self._pick_accounts(count)[burst]
        merchant = self._pick_merchants(account, 0.1)
        time_us = self._begin(start_us, seconds, count)[burst] + (after * 1e6).astype(np.int64)
        factor = rng.uniform(1.5, 6, n) * (
            1 - 0.4 * self._phase(time_us)
        )  # they learn to stay below the radar
        other = (self.device[account] + rng.integers(1, len(DEVICES), count)[burst]) % len(DEVICES)
        device = np.where(rng.random(n) < 0.85, other, self.device[account])
        return self._event(
            time_us,
            account,
            merchant,
            self._habit(account, merchant, time_us) * factor,
            device=device,
            online=rng.random(n) < 0.7,
            distance=self._distance(n, 0.6),
            label=1,
        )

    def _compromise(self, start_us: int, seconds: float, n: int) -> Columns:
        """Merchant compromise: for three days many payments at a few merchants are frauds."""
        rng = self.rng
        account = self._pick_accounts(n)
        time_us = self._begin(start_us, seconds, n)
        period = time_us // (3 * DAY_US)
        few = max(1, self.merchants // 400)
        merchant = (period * 6151 + rng.integers(0, few, n) * 389 + self.seed) % self.merchants
        amount = self._habit(account, merchant, time_us) * rng.uniform(0.9, 2.5, n)
        device = np.where(
            rng.random(n) < 0.3, rng.integers(0, len(DEVICES), n), self.device[account]
        )
        return self._event(
            time_us,
            account,
            merchant,
            amount,
            device=device,
            online=rng.random(n) < 0.6,
            distance=self._distance(n, 0.15),
            label=1,
        )

    def _begin(self, start_us: int, seconds: float, n: int) -> Ints:
        return start_us + (self.rng.random(n) * seconds * 1e6).astype(np.int64)
