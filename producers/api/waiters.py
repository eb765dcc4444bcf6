"""Callers who wait for their decision (`?wait_ms=`), served from the tail of the scored topic."""

from __future__ import annotations

import threading
from collections.abc import Sequence

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
        self._size = layout.dtype.itemsize
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
        size, hash_at = self._size, self._hash_at
        seen: list[tuple[bytes, bytes, bytes]] = []
        for value in batch.values:
            if value is None or not self._layout.ours(value):
                continue
            end = size + int.from_bytes(value[12:14], "little")
            transaction_id = value[size:end]
            account = value[end : end + int.from_bytes(value[14:16], "little")]
            seen.append((transaction_id, account, value[hash_at : hash_at + 16]))
            if transaction_id in self._waiting:
                self._hand_over(transaction_id, value)
        self._known.put(seen)

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
