"""A thread for calls that may never come back."""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Generic, TypeVar

T = TypeVar("T")


class Worker(Generic[T]):
    """A daemon thread for one call at a time: one that never ends cannot keep the process."""

    def __init__(self, name: str) -> None:
        self._calls: SimpleQueue[Callable[[], T] | None] = SimpleQueue()
        self._outcomes: SimpleQueue[T | Exception] = SimpleQueue()
        threading.Thread(target=self._run, name=name, daemon=True).start()

    def start(self, call: Callable[[], T]) -> None:
        self._calls.put(call)

    def outcome(self, seconds: float) -> T | Exception:
        """What the call gave or raised. Raises Empty when it takes longer."""
        return self._outcomes.get(timeout=seconds)

    def has_ended(self) -> bool:
        """Whether it has: then its outcome is gone."""
        try:
            self._outcomes.get_nowait()
        except Empty:
            return False
        return True

    def close(self) -> None:
        """End the thread, once the call has ended that it is at."""
        self._calls.put(None)

    def _run(self) -> None:
        while (call := self._calls.get()) is not None:
            self._outcomes.put(_outcome(call))
            del call


def _outcome(call: Callable[[], T]) -> T | Exception:
    try:
        return call()
    except Exception as error:  # noqa: BLE001 - it is raised in the caller's thread
        return error
