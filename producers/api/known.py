"""Ids and body hashes of recent transactions that are certainly durable."""

from __future__ import annotations

from collections.abc import Iterable

_GENERATION = 100_000
_HASH = 16


class Known:
    """A bounded memory of at least the last `generation` ids, each with the 16-byte hash of its
    newest body and the account that it came under. Thread-safe.

    Under another account an id is as good as new: which of them was first, the log decides, and
    this worker may have met the other one. Two generations of a dict: when the younger is full it
    becomes the older, and the older is forgotten.
    """

    def __init__(self, generation: int = _GENERATION) -> None:
        self._generation = generation
        self._young: dict[bytes, bytes] = {}
        self._old: dict[bytes, bytes] = {}

    def __contains__(self, transaction_id: bytes) -> bool:
        """Whether this id is known under any account."""
        return transaction_id in self._young or transaction_id in self._old

    def get(self, transaction_id: bytes, account: bytes) -> bytes | None:
        """The body hash of this id under this account, or None."""
        entry = self._young.get(transaction_id) or self._old.get(transaction_id)
        return entry[:_HASH] if entry is not None and entry[_HASH:] == account else None

    def put(self, transactions: Iterable[tuple[bytes, bytes, bytes]]) -> None:
        """Remember these, (id, account, body hash) each; call only with what the broker has
        acknowledged.
        """
        entries = {name: body + account for name, account, body in transactions}
        if len(self._young) + len(entries) > self._generation:
            self._old, self._young = self._young, {}
        self._young.update(entries)
