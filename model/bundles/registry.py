"""The champion and what its online model has learnt, folded from the topic models as it grows."""

from __future__ import annotations

import threading

from model.bundles.promotion import Promoted, model_message
from tidegate.broker.ports import Broker, Consumer
from tidegate.broker.records import Batch, TopicPartition
from tidegate.broker.tail import Tail
from tidegate.errors import Retry
from tidegate.messages.documents import Champion, OnlineWeights
from tidegate.pipeline import MODELS


class Registry:
    """The newest champion of a profile (hash) and each bundle's newest weights. Thread-safe."""

    def __init__(self, profile: str) -> None:
        self._profile, self._lock = profile, threading.Lock()
        self._champion: Promoted | None = None
        self._weights: dict[str, OnlineWeights] = {}
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
        self._next = max(self._next, batch.next_offset)

    def now(self) -> tuple[Promoted | None, OnlineWeights | None]:
        """The champion, and its newest weights; None where there is none."""
        with self._lock:
            if self._champion is None:
                return None, None
            return self._champion, self._weights.get(self._champion.champion.bundle)


class FollowedRegistry:
    """A registry kept by a tail from the topic's start; asks Kafka only for the topic's end."""

    def __init__(self, broker: Broker, profile: str) -> None:
        self._broker, self._registry = broker, Registry(profile)
        self.tail = Tail(broker, MODELS, self._registry.absorb, from_start=True).start()
        self._asking = threading.Lock()
        self._asker: Consumer | None = None
        self._sources: list[TopicPartition] = []

    def champion(self, timeout: float) -> Promoted | None:
        """The champion by all that is committed when this is called.

        Raises ConfigError when there is no topic, Retry after `timeout` s.
        """
        with self._asking:
            self._asker = self._asker or self._broker.consumer(None)
            self._sources = self._sources or self._asker.partitions(MODELS)
            ends = {source: self._asker.bounds(source)[1] for source in self._sources}
        if not self.tail.reached(ends, timeout):
            raise Retry(self.tail.problem or f"topic {MODELS} is not read to its end yet")
        return self._registry.now()[0]

    def close(self) -> None:
        """End the tail."""
        self.tail.close()
        with self._asking:
            if self._asker is not None:
                self._asker.close()
