"""The hash by which Kafka's clients choose a partition, one key at a time.

`model.hashing` has the compiled one for many keys; a test holds the two together.
"""

from __future__ import annotations

from functools import lru_cache

_M, _SEED, _MASK = 0x5BD1E995, 0x9747B28C, 0xFFFFFFFF


@lru_cache(4096)
def partition_of(key: bytes, partitions: int) -> int:
    """As Java's default partitioner has it."""
    h = _SEED ^ len(key)
    whole = len(key) & ~3
    for start in range(0, whole, 4):
        k = int.from_bytes(key[start : start + 4], "little") * _M & _MASK
        k = (k ^ k >> 24) * _M & _MASK
        h = h * _M & _MASK ^ k
    if whole < len(key):
        h = (h ^ int.from_bytes(key[whole:], "little")) * _M & _MASK
    h = (h ^ h >> 13) * _M & _MASK
    return ((h ^ h >> 15) & 0x7FFFFFFF) % partitions
