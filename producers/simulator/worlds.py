"""A wallet with balances, plain vectors, and the handbook's customers."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from producers.simulator.scenarios import (
    DAY_US,
    FRAUD_SHARE,
    Columns,
    Floats,
    Ints,
    bursts,
    join,
    names,
)

HANDBOOK_EPOCH_US = 1_522_540_800_000_000  # 2018-04-01


class WalletWorld:
    """Users whose balance wanders about a level of their own; a top-up (recarga) or a withdrawal
    (retiro) is its change.

    Anomalies: a balance that does not add up, a withdrawal beyond the balance, an amount out of all
    habit, a burst of withdrawals that empties the wallet.
    """

    def __init__(self, seed: int, users: int) -> None:
        rng = self.rng = np.random.default_rng([seed, 2])
        self.users = users
        self.level = rng.normal(5.5, 0.8, users)
        self.balance = np.round(np.exp(self.level), 2)

    def window(self, start_us: int, seconds: float, n: int) -> Columns:
        """About n events; each user's balances follow each other in time."""
        rng = self.rng
        drains = rng.poisson(n * FRAUD_SHARE * 0.3 / 6)
        user = rng.integers(0, self.users, n - drains * 6)
        time_us = start_us + (rng.random(len(user)) * seconds * 1e6).astype(np.int64)
        order = np.lexsort((time_us, user))
        user, time_us = user[order], time_us[order]
        after = np.maximum(
            np.round(np.exp(self.level[user] + rng.normal(0, 0.55, len(user))), 2), 1.0
        )
        spike = rng.random(len(user)) < FRAUD_SHARE * 0.25
        after = np.where(spike, np.round(after * rng.uniform(4, 15, len(user)), 2), after)
        first = np.append(True, user[1:] != user[:-1])
        before = np.where(first, self.balance[user], np.append(0.0, after[:-1]))
        last = np.append(first[1:], True)
        self.balance[user[last]] = after[last]
        moved = np.abs(after - before) >= 0.01  # leaving the others out breaks no chain of balances
        wallet = self._columns(
            user[moved], time_us[moved], before[moved], after[moved], spike[moved]
        )
        return (
            join([self._errors(wallet), self._drains(start_us, seconds, drains)])
            if drains
            else self._errors(wallet)
        )

    def _columns(
        self, user: Ints, time_us: Ints, before: Floats, after: Floats, label: NDArray[np.bool_]
    ) -> Columns:
        kind = np.where(after >= before, "recarga", "retiro").astype(object)
        return {
            "time_us": time_us,
            "user_id": names("user_", user, 6),
            "transaction_type": kind,
            "amount": np.round(np.abs(after - before), 2),
            "balance_before": np.round(before, 2),
            "balance_after": np.round(after, 2),
            "label": label.astype(np.int64),
        }

    def _errors(self, wallet: Columns) -> Columns:
        """Balances that do not add up, and withdrawals beyond the balance."""
        rng, n = self.rng, len(wallet["label"])
        chance = rng.random(n)
        wrong = chance < FRAUD_SHARE * 0.25
        shift = rng.choice([-1, 1], n) * wallet["amount"] * rng.uniform(0.1, 1, n)
        wallet["balance_after"] = np.round(
            np.where(
                wrong, np.maximum(wallet["balance_after"] + shift, 0), wallet["balance_after"]
            ),
            2,
        )
        over = (wallet["transaction_type"] == "retiro") & (chance > 1 - FRAUD_SHARE * 0.4)
        amount = np.round(wallet["balance_before"] * rng.uniform(1.02, 1.8, n), 2)
        wallet["amount"] = np.where(over, amount, wallet["amount"])
        left = np.round(wallet["balance_before"] - amount, 2)
        wallet["balance_after"] = np.where(over, left, wallet["balance_after"])
        wallet["label"] = np.where(wrong | over, 1, wallet["label"])
        return wallet

    def _drains(self, start_us: int, seconds: float, count: int) -> Columns:
        """Six withdrawals within minutes, each of a part of what is left."""
        rng = self.rng
        burst, after_s = bursts(rng, count * 6, 6, 6, 30)
        user = rng.integers(0, self.users, int(burst[-1]) + 1)[burst]
        begin = start_us + (rng.random(int(burst[-1]) + 1) * seconds * 1e6).astype(np.int64)
        left = np.cumprod(rng.uniform(0.4, 0.8, (int(burst[-1]) + 1, 6)), axis=1)
        balance = np.exp(self.level[user]) + 10
        before = np.round(balance * np.column_stack([np.ones(len(left)), left[:, :-1]]).ravel(), 2)
        after = np.round(balance * left.ravel(), 2)
        return self._columns(
            user,
            begin[burst] + (after_s * 1e6).astype(np.int64),
            before,
            after,
            np.ones(len(user), np.bool_),
        )


class VectorWorld:
    """Correlated Gaussian vectors; anomalies leave the directions in which normal ones vary."""

    def __init__(self, seed: int, width: int) -> None:
        rng = self.rng = np.random.default_rng([seed, 3])
        self.width, rank = width, max(1, width * 2 // 3)
        self.mix = rng.normal(0, 1, (rank, width)) / np.sqrt(rank)
        self.shift = rng.normal(0, 1, (3, width)) * (rng.random((3, width)) < 0.4)

    def window(self, start_us: int, seconds: float, n: int) -> Columns:
        """Vectors, n of them, as column `data` (n, width), and an Amount."""
        rng = self.rng
        fraud = rng.random(n) < FRAUD_SHARE
        data = rng.normal(size=(n, len(self.mix))) @ self.mix + rng.normal(0, 0.3, (n, self.width))
        strength = rng.gamma(3, 0.8, n) * fraud
        data += strength[:, None] * self.shift[rng.integers(0, 3, n)]
        amount = np.round(
            np.clip(rng.lognormal(3.2, 1.3, n) * np.where(fraud, 1.4, 1), 0.01, 25_000), 2
        )
        time_us = start_us + np.sort(rng.random(n) * seconds * 1e6).astype(np.int64)
        return {
            "time_us": time_us,
            "data": np.round(data, 6),
            "amount": amount,
            "label": fraud.astype(np.int64),
        }


class HandbookWorld:
    """Customers and terminals as the Fraud Detection Handbook simulates them (Le Borgne et al.,
    chapter 3).

    Scenario 1: amounts over 220; 2: a terminal compromised for 28 days; 3: a customer's card for 14
    days, a third of the payments with five times the amount. Here 2 and 3 hold a fixed, drawn share
    of terminals and customers in each period, so that any stretch of time can be made by itself.
    """

    def __init__(self, seed: int, customers: int, terminals: int) -> None:
        rng = self.rng = np.random.default_rng([seed, 4])
        self.seed, self.customers, self.terminals = seed, customers, terminals
        self.mean = rng.uniform(5, 100, customers)
        self.rate = np.cumsum(rng.uniform(0.05, 4, customers))
        self.rate /= self.rate[-1]
        self.near = rng.integers(0, terminals, (customers, 20))

    def window(self, start_us: int, seconds: float, n: int) -> Columns:
        """Payments, n of them."""
        rng = self.rng
        customer = np.minimum(np.searchsorted(self.rate, rng.random(n)), self.customers - 1)
        terminal = self.near[customer, rng.integers(0, self.near.shape[1], n)]
        time_us = start_us + self._seconds(seconds, n)
        mean: Floats = self.mean[customer]
        drawn = mean + mean / 2 * rng.normal(size=n)
        usual = np.where(drawn < 0, rng.random(n) * mean * 2, drawn)
        days = (time_us - HANDBOOK_EPOCH_US) // DAY_US
        stolen = self._chosen(customer, days // 14, 0.008, 1) & (rng.random(n) < 1 / 3)
        amount = np.round(np.where(stolen, usual * 5, usual), 2)
        label = stolen | self._chosen(terminal, days // 28, 0.005, 2) | (amount > 220)
        return {
            "time_us": time_us,
            "CUSTOMER_ID": customer,
            "TERMINAL_ID": terminal,
            "TX_AMOUNT": np.maximum(amount, 0.01),
            "label": label.astype(np.int64),
        }

    def _seconds(self, seconds: float, n: int) -> Ints:
        """Around noon where the stretch holds days, else uniform; in us."""
        if seconds < 86_400:
            return (self.rng.random(n) * seconds * 1e6).astype(np.int64)
        of_day = np.mod(self.rng.normal(43_200, 20_000, n), 86_400)
        return ((np.floor(self.rng.random(n) * seconds / 86_400) * 86_400 + of_day) * 1e6).astype(
            np.int64
        )

    def _chosen(self, what: Ints, period: Ints, share: float, salt: int) -> NDArray[np.bool_]:
        """A drawn, repeatable share of customers or terminals in each period."""
        mixed = what.astype(np.uint64) * np.uint64(0x9E37_79B9_7F4A_7C15) ^ (
            period.astype(np.uint64) * np.uint64(0xBF58_476D_1CE4_E5B9)
            + np.uint64(self.seed * 64 + salt)
        )
        mixed = (mixed ^ (mixed >> np.uint64(31))) * np.uint64(0x94D0_49BB_1331_11EB)
        chosen: NDArray[np.bool_] = (mixed >> np.uint64(40)).astype(np.float64) / 2**24 < share
        return chosen
