"""Which parts of a policy hit a row: 128 bits in the order of the policy's document."""

from __future__ import annotations

import numpy as np

MOST_RULES = 100
MOST_LISTS = 27
BITS = 128
"""Rule k of the document is bit k, list k is bit 100 + k, the last bit says that no alert went out.
Bit k is bit k % 8 of byte k // 8.
"""
FIRST_LIST = MOST_RULES
SUPPRESSED = BITS - 1


def hit_bits(packed: bytes) -> list[int]:
    """The bits that are set."""
    bits = np.unpackbits(np.frombuffer(packed, np.uint8), bitorder="little")
    return np.flatnonzero(bits).tolist()
