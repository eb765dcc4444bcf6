"""Callers who wait for their decision (`?wait_ms=`), served from the tail of the scored topic."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import numpy as np

from producers.api.known import Known
from tidegate.broker.records import Batch
from tidegate.messages.frames import FrameLayout

MAX_WAITERS = 48
"""Each waiter holds one of the server's threads; some must be left for those who only post."""


class Waiter:
    """One transaction that a caller waits for; `done` is set when `frame` is there."""

    __slots__ = ("done", "frame")

    def __init__(self) -> None:
        self.done = threading.Event()
        self.frame = b""


class Waiters:
    """Hands scored frames to those who wait for them, and remembers each id and body hash."""

    def __init__(self, layout: FrameLayout, known: Known, most: int = MAX_WAITERS) -> None:
        self._layout, self._known, self._most = layout, known, most
        self._hash_at = _offset(layout, "body_hash")
        self._waiting: dict[bytes, list[Waiter]] = {}
        self._lock = threading.Lock()
        self._count = 0

    def enter(self, ids: Sequence[bytes]) -> list[Waiter] | None:
        """Start to wait for these, before they are published; None when too many wait already."""
        with self._lock:
            if self._count >= self._most:
                return None
            self._count += 1
            waiters = [Waiter() for _ in ids]
            for transaction_id, waiter in zip(ids, waiters, strict=True):
                self._waiting.setdefault(transaction_id, []).append(waiter)
            return waiters

    def leave(self, ids: Sequence[bytes], waiters: list[Waiter] | None) -> None:
        """Stop to wait, with or without answers."""
        if waiters is None:
            return
        with self._lock:
            self._count -= 1
            for transaction_id, waiter in zip(ids, waiters, strict=True):
                waiting = self._waiting[transaction_id]
                waiting.remove(waiter)
                if not waiting:
                    del self._waiting[transaction_id]

    def absorb(self, batch: Batch) -> None:
        """Take records of the scored topic; frames of another profile are left out."""
        frames, _ = self._layout.own(batch.values)
        if not len(frames):
            return
        hashes = frames.rows[:, self._hash_at : self._hash_at + 16]
        bodies = np.ascontiguousarray(hashes).view("V16").ravel().tolist()
        waiting = self._waiting
        for place, transaction_id in enumerate(frames.ids) if waiting else ():
            if transaction_id in waiting:
                self._hand_over(transaction_id, frames[place])
        self._known.put(list(zip(frames.ids, frames.accounts, bodies, strict=True)))

    def _hand_over(self, transaction_id: bytes, frame: bytes) -> None:
        with self._lock:
            for waiter in self._waiting.get(transaction_id, ()):
                waiter.frame = frame
                waiter.done.set()


def _offset(layout: FrameLayout, name: str) -> int:
    """Where a field of the fixed row begins."""
    fields = layout.dtype.fields
    if fields is None:
        raise TypeError("a frame's row has fields")
    return int(fields[name][1])
