"""When Python's cyclic garbage collector runs: never while thousands of a batch's objects live."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_COLLECT_EVERY = 5.0
"""Seconds between two collections."""


@contextmanager
def collecting_between_batches() -> Iterator[Callable[[], None]]:
    """Collect garbage between batches, not while thousands of objects of one are alive."""
    gc.collect()
    gc.freeze()
    gc.disable()
    due = time.monotonic() + _COLLECT_EVERY

    def collect() -> None:
        nonlocal due
        if time.monotonic() >= due:
            gc.collect()
            due = time.monotonic() + _COLLECT_EVERY

    try:
        yield collect
    finally:
        gc.enable()
        gc.unfreeze()
