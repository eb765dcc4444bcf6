"""Small helpers: random transactions as arrays, folded in chosen batches."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from model.features.plan import Plan
from model.features.state import KeyedState
from tidegate.profile import Profile, load_profile

CARD, HANDBOOK, SEQUENCES = (
    load_profile("card"),
    load_profile("handbook"),
    load_profile("sequences"),
)
START_US = 1_700_000_000_000_000
HOUR_US = 3_600_000_000
LABEL_EVERY = 4
"""One verdict comes after so many transactions."""


class Log:
    """A step's input log as arrays: inputs, and what earlier steps found, some of it missing."""

    def __init__(
        self,
        profile: Profile,
        seed: int,
        n: int,
        *,
        keys: int = 5,
        span_us: int = 80 * HOUR_US,
        late_us: int = 0,
        twice: bool = True,
    ) -> None:
        chance = np.random.default_rng(seed)
        self.profile = profile
        self.times = np.sort(START_US + chance.integers(0, span_us, n))
        self.times -= chance.integers(0, late_us, n) if late_us else 0
        self.ingested = np.maximum.accumulate(self.times)
        self.hashes = np.stack(
            [chance.integers(1, keys + 1, n) * 0x9E3779B97F4A7C1 for _ in profile.hashed], axis=1
        )
        self.values = np.round(chance.lognormal(3, 1, (n, len(profile.values))), 2)
        computed = self.values[:, len(profile.inputs) :]
        computed[chance.random(computed.shape) < 0.1] = np.nan
        earlier = LABEL_EVERY * np.arange(1, n // LABEL_EVERY + 1)
        self.labels = (
            (chance.random(len(earlier)) * earlier).astype(np.int64)
            if twice
            else chance.permutation(earlier - 1)
        )
        self.frauds = chance.integers(0, 2, len(self.labels))
        self.matures = self.times + profile.label_delay_us // 100
        """When a verdict on each transaction begins to count: soon, so that many do."""

    def label(
        self,
        plan: Plan,
        which: slice,
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
        """Verdicts on random transactions, some twice, some corrected.

        Gives ids, keys, when they begin to count, and what they carry.
        """
        at = self.labels[which]
        given = np.arange(len(self.labels))[which]
        columns = [at + 1, at + 1, given, given, self.frauds[which] + 1]
        ids = np.stack(columns, axis=1).astype(np.int64)
        return ids, self.hashes[at, plan.key], self.matures[at], self.values[at][:, plan.carried]

    def known(self, key: int, i: int) -> dict[int, bool]:
        """The transactions of the same entity whose verdict has come and counts at transaction `i`:
        fraud or not.
        """
        known: dict[int, bool] = {}
        for at, fraud in zip(self.labels[: i // LABEL_EVERY], self.frauds, strict=False):
            if self.hashes[at, key] == self.hashes[i, key] and self.matures[at] <= self.times[i]:
                known[int(at)] = bool(fraud)
        return known


def fold(state: KeyedState, log: Log, start: int, stop: int) -> NDArray[np.float64]:
    """Fold rows `start` to `stop` of the log; verdicts come at the same rows however it is cut."""
    out = log.values[start:stop].copy()
    at = start
    while at < stop:
        end = min(stop, (at // LABEL_EVERY + 1) * LABEL_EVERY)
        rows = out[at - start : end - start]
        keys = np.ascontiguousarray(log.hashes[at:end, state.plan.key])
        times = log.times[at:end]
        state.fold(keys, log.hashes[at:end], times, log.ingested[at:end], rows)
        if end % LABEL_EVERY == 0 and state.plan.keeps_verdicts:
            state.absorb(*log.label(state.plan, slice(end // LABEL_EVERY - 1, end // LABEL_EVERY)))
        at = end
    return out


def fold_batches(state: KeyedState, log: Log, cuts: Iterable[int]) -> NDArray[np.float64]:
    """Fold the whole log in batches that end at `cuts`."""
    ends = [*sorted(set(cuts) - {0}), len(log.times)]
    results, start = [], 0
    for end in ends:
        state.begin()
        results.append(fold(state, log, start, end))
        state.commit()
        start = end
    return np.concatenate(results)
