"""Fetching shared bundles beside the work of a stage, which a URL that hangs must not stop."""

from __future__ import annotations

from functools import partial
from queue import Empty

from model.bundles.shared import SharedBundles
from tidegate.errors import Retry
from tidegate.worker import Worker

_WAIT = 3.0
"""Seconds that the stage waits for a fetch that it begins; what takes longer is asked for again."""


class Loading(Retry):
    """A bundle is still being fetched."""


class Fetching:
    """Fetches one bundle at a time, in a thread of its own."""

    def __init__(self, shared: SharedBundles, wait: float = _WAIT) -> None:
        self._shared, self._wait = shared, wait
        self._worker = Worker[None]("bundles")
        self._under_way = ""

    def fetch(self, name: str) -> None:
        """As `SharedBundles.fetch`; raises Loading when that has not ended."""
        while not self._shared.has(name):
            asked, wait = self._under_way, 0.0
            if not asked:
                asked, wait = name, self._wait
                self._start(name)
            outcome = self._outcome(asked, wait)
            if asked == name:
                if outcome is not None:
                    raise outcome
                return

    def _start(self, name: str) -> None:
        self._worker.start(partial(self._shared.fetch, name))
        self._under_way = name

    def _outcome(self, name: str, wait: float) -> Exception | None:
        try:
            outcome = self._worker.outcome(wait)
        except Empty:
            raise Loading(f"bundle {name} is still being fetched") from None
        self._under_way = ""
        return outcome
