"""The heartbeats while a command runs."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from tidegate.broker.tail import Tail
from tidegate.errors import Retry
from tidegate.pipeline import STATUS, stage_inputs
from tidegate.status.board import Board

if TYPE_CHECKING:
    from types import TracebackType

    from tidegate.broker.ports import Broker
    from tidegate.messages.heartbeats import Heartbeat, Held
    from tidegate.profile import Profile

BEAT = 1.5
"""Within so many seconds every living process has beaten once."""


class heartbeats:  # noqa: N801 - read as a function: `with heartbeats(broker, profile) as beats`
    """The fresh heartbeats of topic status while the block runs; calling it gives the list."""

    def __init__(self, broker: Broker, profile: Profile) -> None:
        self._board = Board(
            broker, stage_inputs(len(profile.entities), learner=profile.models.learns)
        )
        self._tail = Tail(broker, STATUS, self._board.absorb, from_start=True)
        self._seen = threading.Event()

    def __enter__(self) -> heartbeats:
        self._tail.start()
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self._tail.close()

    def __call__(self) -> list[Heartbeat]:
        return self._board.processes()

    def wait(self, timeout: float) -> None:
        """Wait until the topic is read and every living process has beaten once.

        Raises Retry when the topic cannot be read.
        """
        if not self._tail.reading.wait(timeout):
            raise Retry(f"topic status cannot be read: {self._tail.problem}")
        self._seen.wait(BEAT)

    def scorers(self) -> list[Heartbeat]:
        """Those of the living scorers."""
        return self._board.scorers()

    def missing(self) -> list[str]:
        """What keeps the pipeline from being ready."""
        return self._board.missing()

    def held(self) -> list[tuple[str, Held]]:
        """The stages' partitions that do not go on because of their rejects."""
        return self._board.held()
