"""Whether the group still knows its member: one without an assignment for long starts anew."""

from __future__ import annotations

from collections.abc import Callable

from tidegate.broker.ports import Consumer
from tidegate.errors import Broken, TidegateError

_LONGEST_US = 60_000_000
"""Many times what a rebalance takes; a member that is dead is out of its group after 8 s."""


class Membership:
    """Since when a member of the group of `stage`, which reads `topic`, has had no assignment.

    An empty one is one: a group may have more members than partitions. `clock` gives us and is
    never set.
    """

    def __init__(
        self, stage: str, topic: str, consumer: Consumer, clock: Callable[[], int]
    ) -> None:
        self._stage, self._topic = stage, topic
        self._consumer, self._clock = consumer, clock
        self._without_since_us: int | None = None

    def has(self) -> None:
        """The group has said which partitions are this member's."""
        self._without_since_us = None

    def lacks(self) -> None:
        """It has joined, or what it had was taken away."""
        self._without_since_us = self._clock()

    def check(self) -> None:
        """Raises Broken after 60 s without an assignment, unless it is the broker that is away."""
        since = self._without_since_us
        if since is None or self._clock() < since + _LONGEST_US:
            return
        try:
            self._consumer.partitions(self._topic)
        except TidegateError:
            self.lacks()
            return
        raise Broken(
            f"stage {self._stage}: its group has assigned it nothing for "
            f"{_LONGEST_US // 1_000_000} s, not even no partition, and the broker answers: it has "
            "to start anew"
        )
