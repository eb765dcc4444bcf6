"""Hashes of keys: MurmurHash64A for state, and murmur2, by which Kafka chooses partitions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from model.jit import jit
from tidegate.messages.texts import Texts

Bytes = NDArray[np.uint8]
Ints = NDArray[np.int64]

_MULTIPLIER = np.uint64(0xC6A4A7935BD1E995)
_SHIFT = np.uint64(47)
_EIGHT = np.uint64(8)
_M32 = np.uint32(0x5BD1E995)
_KAFKA_SEED = np.uint32(0x9747B28C)
_S24, _S13, _S15 = np.uint32(24), np.uint32(13), np.uint32(15)
KEY_SEED = 0x7469_6465


def join(texts: Sequence[bytes]) -> tuple[Bytes, Ints]:
    """All bytes in one array, and where each text ends."""
    if isinstance(texts, Texts):
        return np.frombuffer(texts.buffer, np.uint8), np.cumsum(texts.lengths)
    ends = np.cumsum(np.fromiter(map(len, texts), np.int64, len(texts)))
    return np.frombuffer(b"".join(texts), np.uint8), ends


def split(lines: bytes) -> tuple[Bytes, Ints]:
    """All bytes of lines in one array, and where each ends, behind its line break."""
    data = np.frombuffer(lines, np.uint8)
    return data, np.flatnonzero(data == ord("\n")) + 1


@jit
def _word(data: Bytes, at: int) -> np.uint64:
    word = np.uint64(0)
    for k in range(7, -1, -1):
        word = (word << _EIGHT) | np.uint64(data[at + k])
    return word


@jit
def _murmur64(data: Bytes, start: int, stop: int, seed: int) -> np.uint64:
    h = np.uint64(seed) ^ (np.uint64(stop - start) * _MULTIPLIER)
    at = start
    while at + 8 <= stop:
        k = _word(data, at) * _MULTIPLIER
        k = (k ^ (k >> _SHIFT)) * _MULTIPLIER
        h = (h ^ k) * _MULTIPLIER
        at += 8
    if at < stop:
        tail = np.uint64(0)
        for k2 in range(stop - 1, at - 1, -1):
            tail = (tail << _EIGHT) | np.uint64(data[k2])
        h = (h ^ tail) * _MULTIPLIER
    h = (h ^ (h >> _SHIFT)) * _MULTIPLIER
    h ^= h >> _SHIFT
    return h if h != np.uint64(0) else np.uint64(1)


@jit
def _hash_all(data: Bytes, ends: Ints, seed: int, out: NDArray[np.uint64]) -> None:
    start = 0
    for i in range(len(ends)):
        out[i] = _murmur64(data, start, ends[i], seed)
        start = ends[i]


@jit
def _murmur2_all(data: Bytes, ends: Ints, partitions: int, out: Ints) -> None:
    start = 0
    for i in range(len(ends)):
        stop = ends[i]
        h = _KAFKA_SEED ^ np.uint32(stop - start)
        at = start
        while at + 4 <= stop:
            k = (
                np.uint32(data[at])
                | (np.uint32(data[at + 1]) << np.uint32(8))
                | (np.uint32(data[at + 2]) << np.uint32(16))
                | (np.uint32(data[at + 3]) << np.uint32(24))
            )
            k = np.uint32(k * _M32)
            k = np.uint32((k ^ (k >> _S24)) * _M32)
            h = np.uint32(np.uint32(h * _M32) ^ k)
            at += 4
        if at < stop:
            tail = np.uint32(0)
            for b in range(stop - 1, at - 1, -1):
                tail = np.uint32((tail << np.uint32(8)) | np.uint32(data[b]))
            h = np.uint32((h ^ tail) * _M32)
        h = np.uint32((h ^ (h >> _S13)) * _M32)
        h = np.uint32(h ^ (h >> _S15))
        out[i] = np.int64(h & np.uint32(0x7FFFFFFF)) % partitions
        start = stop


def hash64(keys: Sequence[bytes], seed: int = KEY_SEED) -> NDArray[np.uint64]:
    """u8[n] for n keys, never 0."""
    return hash_joined(*join(keys), seed)


def hash_joined(data: Bytes, ends: Ints, seed: int) -> NDArray[np.uint64]:
    """`hash64` of texts that `join` has joined."""
    out = np.empty(len(ends), np.uint64)
    _hash_all(data, ends, seed, out)
    return out


def partitions_of(keys: Sequence[bytes], partitions: int) -> Ints:
    """The partition of each key among `partitions`, as Kafka's `murmur2` partitioners choose it."""
    out = np.empty(len(keys), np.int64)
    _murmur2_all(*join(keys), partitions, out)
    return out


def key_hashes(keys: Sequence[bytes]) -> Ints:
    """The hash of each key, whose rest by the number of partitions is the key's partition."""
    return partitions_of(keys, 1 << 31)
