"""Ids and body hashes of recent transactions that are certainly durable."""

from __future__ import annotations

from collections.abc import Mapping

_GENERATION = 100_000


class Known:
    """A bounded memory of at least the last `generation` ids, each with the 16-byte hash of its
    body. Thread-safe.

    Two generations of a dict: when the younger is full it becomes the older, and the older is
    forgotten.
    """

    def __init__(self, generation: int = _GENERATION) -> None:
        self._generation = generation
        self._young: dict[bytes, bytes] = {}
        self._old: dict[bytes, bytes] = {}

    def get(self, transaction_id: bytes) -> bytes | None:
        """The body hash of this id, or None."""
        return self._young.get(transaction_id) or self._old.get(transaction_id)

    def put(self, hashes: Mapping[bytes, bytes]) -> None:
        """Remember these; call only with what the broker has acknowledged."""
        if len(self._young) + len(hashes) > self._generation:
            self._old, self._young = self._young, {}
        self._young.update(hashes)
