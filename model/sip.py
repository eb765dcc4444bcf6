# mypy: disable-error-code="no-any-return"
# Elements of arrays are Any to mypy; numba infers every type.
"""SipHash-2-4 with 128 bits: keyed hashes of ids, for which nobody knows how to make two collide.

By Jean-Philippe Aumasson and Daniel J. Bernstein, "SipHash: a fast short-input PRF" (2012), and
their reference code for 128 bits. The key is no secret of its own: it only has to be unknown to
those who choose ids.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from model.hashing import Bytes, Ints
from model.jit import inlined, jit

Words = NDArray[np.uint64]

_INIT = np.array(
    [0x736F6D6570736575, 0x646F72616E646F6D, 0x6C7967656E657261, 0x7465646279746573], np.uint64
)
_WIDE, _SECOND, _LOW_BYTE = np.uint64(0xEE), np.uint64(0xDD), np.uint64(0xFF)
_EIGHT, _LAST = np.uint64(8), np.uint64(56)


class SipKey(NamedTuple):
    """A key: two words of 64 bits."""

    first: np.uint64
    second: np.uint64


def sip_key(secret: str) -> SipKey:
    """The key that belongs to a text, such as the id of a Kafka cluster."""
    first, second = np.frombuffer(blake2b(secret.encode(), digest_size=16).digest(), np.uint64)
    return SipKey(first, second)


NO_SECRET = sip_key("tidegate")
"""The key where no deployment has one of its own: files, training, tests."""


@inlined
def _turn(word: np.uint64, bits: int) -> np.uint64:
    return (word << np.uint64(bits)) | (word >> np.uint64(64 - bits))


@inlined
def _round(
    a: np.uint64, b: np.uint64, c: np.uint64, d: np.uint64
) -> tuple[np.uint64, np.uint64, np.uint64, np.uint64]:
    a += b
    b = _turn(b, 13) ^ a
    a = _turn(a, 32)
    c += d
    d = _turn(d, 16) ^ c
    a += d
    d = _turn(d, 21) ^ a
    c += b
    b = _turn(b, 17) ^ c
    c = _turn(c, 32)
    return a, b, c, d


@jit
def _sip_all(
    data: Bytes, ends: Ints, first: np.uint64, second: np.uint64, init: Words, out: Words
) -> None:
    start = 0
    for i in range(len(ends)):
        stop = ends[i]
        a, b = init[0] ^ first, init[1] ^ second ^ _WIDE
        c, d = init[2] ^ first, init[3] ^ second
        at = start
        while at + 8 <= stop:
            word = np.uint64(0)
            for k in range(7, -1, -1):
                word = (word << _EIGHT) | np.uint64(data[at + k])
            d ^= word
            a, b, c, d = _round(a, b, c, d)
            a, b, c, d = _round(a, b, c, d)
            a ^= word
            at += 8
        word = np.uint64(0)
        for k in range(stop - 1, at - 1, -1):
            word = (word << _EIGHT) | np.uint64(data[k])
        word |= (np.uint64(stop - start) & _LOW_BYTE) << _LAST
        d ^= word
        a, b, c, d = _round(a, b, c, d)
        a, b, c, d = _round(a, b, c, d)
        a ^= word
        c ^= _WIDE
        for _ in range(4):
            a, b, c, d = _round(a, b, c, d)
        out[i, 0] = a ^ b ^ c ^ d
        b ^= _SECOND
        for _ in range(4):
            a, b, c, d = _round(a, b, c, d)
        out[i, 1] = a ^ b ^ c ^ d
        start = stop


def sip128(data: Bytes, ends: Ints, key: SipKey) -> Words:
    """u8[n, 2] of n texts that `model.hashing.join` has joined."""
    out = np.empty((len(ends), 2), np.uint64)
    _sip_all(data, ends, key.first, key.second, _INIT, out)
    return out
