"""What the dead letters' pages work with, kept for as long as the application runs."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar, cast

from flask import Flask, current_app

from dashboard.dead_letters.jobs import Jobs
from db.letter_groups import Resolutions
from tidegate.broker.ports import Broker, Consumer
from tidegate.broker.tail import Tail
from tidegate.dead_letters.groups import Groups
from tidegate.errors import Retry
from tidegate.messages.vault import Vault
from tidegate.pipeline import DLQ, REDRIVEN
from tidegate.profile import Profile

_KEY = "tidegate.dead_letters"
_PATIENCE_SECONDS = 5.0
T = TypeVar("T")


class Workbench:
    """The groups of dead letters, what people say of them, the redrives from here, and one reader
    of single letters that all requests share.
    """

    def __init__(
        self, broker: Broker, profile: Profile, vault: Vault | None, database: str
    ) -> None:
        self.groups, self.vault, self.broker = Groups(profile), vault, broker
        self.resolutions, self.jobs = Resolutions(database), Jobs()
        self._turn = threading.Lock()
        self._consumer: Consumer | None = None

        self._letters = Tail(broker, DLQ, self.groups.absorb, from_start=True)
        self._marks = Tail(broker, REDRIVEN, self.groups.absorb_marks, from_start=True)

    def follow(self) -> list[Tail]:
        """Begin to read the topics."""
        return [self._letters.start(), self._marks.start()]

    def settle(self) -> None:
        """Wait until the groups show what has been done up to now. Raises Retry."""
        ends = self.read(
            lambda consumer: {
                source: consumer.bounds(source)[1] for source in consumer.partitions(REDRIVEN)
            }
        )
        self._marks.reached(ends, _PATIENCE_SECONDS)

    def read(self, reading: Callable[[Consumer], T]) -> T:
        """What `reading` reads, one at a time. Raises Retry."""
        with self._turn:
            self._consumer = self._consumer or self.broker.consumer(None)
            try:
                return reading(self._consumer)
            except Retry:
                self._close()  # a client that lost its broker may never find it again
                raise

    def close(self) -> None:
        """Close the reader and the database."""
        with self._turn:
            self._close()
        self.resolutions.close()

    def _close(self) -> None:
        if self._consumer is not None:
            self._consumer.close()
            self._consumer = None


def workbench_in(app: Flask, made: Workbench) -> None:
    """Give an application its workbench."""
    app.extensions[_KEY] = made


def workbench_of(app: Flask) -> Workbench:
    """That of an application."""
    return cast(Workbench, app.extensions[_KEY])


def workbench() -> Workbench:
    """That of the application which answers this request."""
    return workbench_of(current_app)
