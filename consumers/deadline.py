"""How long a detector may take for a batch, before the batch is decided without it."""

from __future__ import annotations

from functools import partial
from queue import Empty

from model.detectors.base import Array, Detector
from tidegate.errors import Retry
from tidegate.worker import Worker

_LONGEST = 3600.0
"""Seconds."""


class Late(Retry):
    """A detector has not scored in time. Where no other one has either, the batch has to wait."""


class Deadline:
    """Lets detectors score in threads of their own, so that the caller need not wait for ever.

    It gets no other batch before it has ended: no detector ever works on two at once, and one that
    hangs holds one thread. A hand-over to a thread and back costs 20 us, and up to 90 us on a busy
    machine. With 0 `seconds` there is none: the caller scores.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = self._limit = seconds
        self._idle: list[Worker[Array]] = []
        self._late: dict[tuple[str, str], Worker[Array]] = {}

    def score(self, bundle: str, detector: Detector, x: Array) -> Array:
        """What a detector of this bundle (hash) scores. Raises Late, or what it raises."""
        if not self._seconds:
            return detector.score(x)
        self._reap()
        key = bundle, detector.name
        if key in self._late:
            raise Late(f"{detector.name} has not yet ended with an earlier batch")
        worker = self._idle.pop() if self._idle else Worker[Array]("detector")
        worker.start(partial(detector.score, x))
        try:
            outcome = worker.outcome(self._limit)
        except Empty:
            self._late[key] = worker
            raise Late(
                f"{detector.name} took more than {self._limit:g} s for {len(x):,} rows"
            ) from None
        self._idle.append(worker)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def wait_longer(self) -> None:
        """Twice as long: with the same limit, a batch that nothing decided would wait for ever."""
        self._limit = min(2 * self._limit, _LONGEST)

    def wait_as_usual(self) -> None:
        """From the next batch on."""
        self._limit = self._seconds

    def _reap(self) -> None:
        """Threads whose call has ended are idle again; what it gave came too late."""
        for key, worker in list(self._late.items()):
            if worker.has_ended():
                self._idle.append(self._late.pop(key))
