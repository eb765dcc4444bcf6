"""The champion and what its online model has learnt, folded from the topic models."""

from __future__ import annotations

import threading

from model.bundles.promotion import model_message
from tidegate.broker.records import Batch
from tidegate.messages.documents import Champion, OnlineWeights


class Registry:
    """The newest champion of a profile (hash) and each bundle's newest weights. Thread-safe."""

    def __init__(self, profile: str) -> None:
        self._profile, self._lock = profile, threading.Lock()
        self._champion: Champion | None = None
        self._weights: dict[str, OnlineWeights] = {}

    def absorb(self, batch: Batch) -> None:
        """Take records of the topic models."""
        for value in batch.values:
            message = model_message(value)
            with self._lock:
                if isinstance(message, Champion) and message.profile == self._profile:
                    self._champion = message
                elif isinstance(message, OnlineWeights):
                    self._weights[message.bundle] = message

    def now(self) -> tuple[Champion | None, OnlineWeights | None]:
        """The champion, and its newest weights; None where there is none."""
        with self._lock:
            if self._champion is None:
                return None, None
            return self._champion, self._weights.get(self._champion.bundle)
