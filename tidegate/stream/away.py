"""Partitions whose log does not answer: each is asked again after a delay of its own."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import NamedTuple

from tidegate import metrics
from tidegate.broker.records import TopicPartition
from tidegate.errors import Retry

_LOG = logging.getLogger(__name__)
_SECOND = 1_000_000
_FIRST_US, _LONGEST_US = _SECOND, 30 * _SECOND
"""Asking a partition without a leader takes some 6 s, in which its neighbours wait."""


class _Next(NamedTuple):
    """When a partition is asked again, and how long it waited for that."""

    due_us: int
    delay_us: int


class Away:
    """Those of one stage. `clock` gives us and is never set."""

    def __init__(self, stage: str, clock: Callable[[], int]) -> None:
        self._stage, self._clock = stage, clock
        self._next: dict[TopicPartition, _Next] = {}

    def add(self, source: TopicPartition, error: Retry) -> None:
        """It did not answer: ask again after twice the time."""
        before = self._next.get(source)
        delay = min(2 * before.delay_us, _LONGEST_US) if before else _FIRST_US
        self._next[source] = _Next(self._clock() + delay, delay)
        metrics.RETRIES.labels(self._stage).inc()
        _LOG.warning(
            "stage %s: %s/%d waits %.2f s: %s", self._stage, *source, delay / _SECOND, error
        )

    def back(self, source: TopicPartition) -> None:
        """It answered, or is no business of this process any more."""
        self._next.pop(source, None)

    def due(self, source: TopicPartition) -> bool:
        """Whether it may be asked now."""
        return source not in self._next or self._clock() >= self._next[source].due_us
