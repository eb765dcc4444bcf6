"""The sample of transactions that people review whatever the score.

A transaction's draw is a hash of its id, as a number from 0 to 1: the smallest ones are the sample.
So nobody has to remember what was chosen, and a larger sample contains the smaller one.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

_SEED = np.uint64(0x7361_6D70)
_MULTIPLIER = np.uint64(0xC6A4A7935BD1E995)
_SHIFT = np.uint64(47)


def draws(ids: Sequence[bytes]) -> NDArray[np.float64]:
    """f8[n] of n ids, from 0 (never) to 1: MurmurHash64A, as `model.hashing.hash64` computes it.

    By numpy, word by word of all ids at once: so the process that writes rows does without numba.
    """
    lengths = np.fromiter(map(len, ids), np.uint64, len(ids))
    words = -(-int(lengths.max(initial=1)) // 8) or 1
    packed = np.array(ids, f"S{8 * words}").view("<u8").reshape(len(ids), words)
    in_all = int(lengths.min(initial=0)) // 8
    h = _SEED ^ lengths * _MULTIPLIER
    for number in range(words):
        word = packed[:, number]
        mixed = word * _MULTIPLIER
        mixed = (mixed ^ (mixed >> _SHIFT)) * _MULTIPLIER
        if number < in_all:
            h = (h ^ mixed) * _MULTIPLIER
            continue
        whole = lengths >= np.uint64(8 * number + 8)
        part = (lengths > np.uint64(8 * number)) & ~whole
        h = np.where(whole, (h ^ mixed) * _MULTIPLIER, np.where(part, (h ^ word) * _MULTIPLIER, h))
    h = (h ^ (h >> _SHIFT)) * _MULTIPLIER
    h ^= h >> _SHIFT
    drawn: NDArray[np.float64] = np.maximum(h, np.uint64(1)) / 2.0**64
    return drawn
