"""The champion, what its online model has learnt, and the policy: the topic models as it grows."""

from __future__ import annotations

import threading
import time

from model.bundles.promotion import Promoted, model_message
from tidegate.broker.asker import Asker
from tidegate.broker.ports import Broker
from tidegate.broker.records import Batch
from tidegate.broker.tail import Tail
from tidegate.errors import Retry
from tidegate.messages.documents import Canary, Champion, OnlineWeights, Shadow
from tidegate.messages.policy import AppliedPolicy
from tidegate.pipeline import MODELS


class Registry:
    """The newest champion of a profile (hash) and each bundle's newest weights. Thread-safe."""

    def __init__(self, profile: str) -> None:
        self._profile, self._lock = profile, threading.Lock()
        self._champion: Promoted | None = None
        self._weights: dict[str, OnlineWeights] = {}
        self._policy: AppliedPolicy | None = None
        self._shadow: Shadow | None = None
        self._canary: Canary | None = None
        self._next = 0

    def absorb(self, batch: Batch) -> None:
        """Take records of the topic models; those that were taken before change nothing."""
        for offset, value in zip(batch.offsets, batch.values, strict=True):
            if offset < self._next:
                continue
            message = model_message(value)
            with self._lock:
                if isinstance(message, Champion) and message.profile == self._profile:
                    self._champion = Promoted(message, offset)
                elif isinstance(message, OnlineWeights):
                    self._weights[message.bundle] = message
                elif isinstance(message, AppliedPolicy) and message.profile == self._profile:
                    self._policy = message
                elif isinstance(message, Shadow) and message.profile == self._profile:
                    self._shadow = message
                elif isinstance(message, Canary) and message.profile == self._profile:
                    self._canary = message
        self._next = max(self._next, batch.next_offset)

    def policy(self) -> AppliedPolicy | None:
        """The newest policy that was applied; None: the profile's own rules are in force."""
        with self._lock:
            return self._policy

    def now(self) -> tuple[Promoted | None, OnlineWeights | None]:
        """The champion, and its newest weights; None where there is none."""
        with self._lock:
            if self._champion is None:
                return None, None
            return self._champion, self._weights.get(self._champion.champion.bundle)

    def beside(self) -> tuple[Shadow | None, Canary | None]:
        """The shadow and the canary; None where there is none."""
        with self._lock:
            shadow, canary = self._shadow, self._canary
        return shadow if shadow and shadow.bundle else None, (
            canary if canary and canary.bundle else None
        )


class FollowedRegistry:
    """A registry kept by a tail from the topic's start; asks Kafka only for the topic's end."""

    def __init__(self, broker: Broker, profile: str) -> None:
        self._registry = Registry(profile)
        self.tail = Tail(broker, MODELS, self._registry.absorb, from_start=True).start()
        self._asker = Asker(broker)

    def champion(self, timeout: float) -> Promoted | None:
        """The champion by all that is committed when this is called.

        Raises ConfigError when there is no topic, Retry after `timeout` s.
        """
        deadline = time.monotonic() + timeout
        ends = self._asker.ends([MODELS], deadline)
        if not self.tail.reached(ends, max(0.0, deadline - time.monotonic())):
            raise Retry(self.tail.problem or f"topic {MODELS} is not read to its end yet")
        return self._registry.now()[0]

    def close(self) -> None:
        """End the tail."""
        self.tail.close()
        self._asker.close()
