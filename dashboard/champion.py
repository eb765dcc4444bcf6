"""The champion's bundle with its newest online weights, loaded where a page has to score."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import numpy as np

from dashboard.context import Context
from model.bundles import catalog
from model.bundles.shared import known_bundles

if TYPE_CHECKING:
    from model.bundles.bundle import Bundle


class Champion:
    """Loads a bundle once and keeps it until another one is champion. Thread-safe.

    It decides by the thresholds of the policy in force, if that sets some.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loaded: Bundle | None = None

    def now(self, context: Context) -> Bundle | None:
        """The champion as it scores now; None before the first promotion.

        Raises ConfigError for a bundle that cannot score here, Retry while it cannot be fetched.
        """
        promoted, online = context.registry.now()
        if promoted is None:
            return None
        name = promoted.champion.bundle
        with self._lock:
            if self._loaded is None or self._loaded.hash != name:
                folder = known_bundles(context.settings, name)
                self._loaded = catalog.usable(folder, name, context.profile)
            bundle = self._loaded
        applied = context.registry.policy()
        policy = applied.policy if applied else context.profile.policy
        if policy.thresholds:
            bundle = bundle.with_thresholds(policy.thresholds)
        if online is None:
            return bundle
        return bundle.with_weights(np.frombuffer(online.weights, "<f8").astype(np.float64))
