"""Ids for transactions and verdicts that come without one, and where they are asked for."""

from __future__ import annotations

import os
import time
import uuid
from urllib.parse import quote


def fresh_id() -> str:
    """A new id whose text sorts by time (UUID version 7, RFC 9562)."""
    bits = (time.time_ns() // 1_000_000 << 80) | int.from_bytes(os.urandom(10), "big")
    bits = bits & ~(0xF << 76) | (0x7 << 76)
    bits = bits & ~(0x3 << 62) | (0x2 << 62)
    return str(uuid.UUID(int=bits))


def address_of(transaction_id: str, under: str = "/v1/transactions") -> str:
    """The path of a transaction's row.

    Clients resolve `.` and `..` as folders before they ask, written as %2E too: these two ids go
    into the query.
    """
    if transaction_id in (".", ".."):
        return f"/v1/transactions?id={transaction_id}"
    return f"{under}/{quote(transaction_id, safe='')}"
