"""The recorded order of a step's two inputs, kept in the note beside its committed position.

A pair (i, s) says: before input offset i was processed, all side records before s had been
absorbed. The note is `i:s` of the first pair and then `+i:s` increments, so 3,600 characters hold
about 500 pairs.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import NamedTuple

FULL = 3600
"""Length of a note in characters from which on no more is absorbed until a snapshot shortens it
(Kafka takes 4,096).
"""
LONG = 2400
"""Length from which on a snapshot is due."""


class Pair(NamedTuple):
    """Side records before `side` came before the input at `offset`."""

    offset: int
    side: int


def encode(pairs: list[Pair]) -> str:
    """The note of `pairs`, which rise in both."""
    before = Pair(0, 0)
    increments = []
    for pair in pairs:
        increments.append(f"{pair.offset - before.offset}:{pair.side - before.side}")
        before = pair
    return "+".join(increments)


def decode(note: str) -> list[Pair]:
    """The reverse of `encode`."""
    pairs: list[Pair] = []
    offset = side = 0
    for increment in filter(None, note.split("+")):
        more_offset, more_side = increment.split(":")
        offset += int(more_offset)
        side += int(more_side)
        pairs.append(Pair(offset, side))
    return pairs


def after(pairs: list[Pair], side: int) -> list[Pair]:
    """The pairs that a state which has absorbed all before `side` still needs."""
    return pairs[bisect_right(pairs, side, key=lambda pair: pair.side) :]
