# mypy: disable-error-code="no-any-return"
# Elements of arrays are Any to mypy; numba infers every type.
"""The compiled loops of `model.features.known_ids`: an open table, and closed words in order.

A closed word is 64 bits: 39 of the id behind those that choose its bucket, a tag of 5 that names
its generation, and 20 of the body's hash. The words of bucket b are `words[starts[b] :
starts[b + 1]]`, in the order of their ids.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from model.jit import inlined, jit

Words = NDArray[np.uint64]
Starts = NDArray[np.uint32]

NEW, SAME, OTHER = 0, 1, 2
ID_BITS, TAG_BITS, BODY_BITS = 39, 5, 20
TAGS = 1 << TAG_BITS
_REST = np.uint64(64 - ID_BITS)
_BODY, _TAG = np.uint64(BODY_BITS), np.uint64(TAGS - 1)
_TOP_OF_BODY = np.uint64(64 - BODY_BITS)
_BODY_MASK = np.uint64((1 << BODY_BITS) - 1)
_ZERO = np.uint64(0)


@inlined
def _place(table: Words, identity: np.uint64) -> np.int64:
    """The slot that holds an id, or the free slot where it belongs."""
    mask = len(table) - 1
    slot = np.int64(identity & np.uint64(mask))
    while table[slot, 0] != _ZERO and table[slot, 0] != identity:
        slot = (slot + 1) & mask
    return slot


@inlined
def _rest(identity: np.uint64, bits: int) -> np.uint64:
    """The bits of an id behind the first `bits`, as many as a closed word holds."""
    return (identity << np.uint64(bits)) >> _REST


@inlined
def _closed(starts: Starts, words: Words, bits: int, identity: np.uint64, body: np.uint64) -> int:
    """What the closed words say of an id."""
    bucket = np.int64(identity >> np.uint64(64 - bits))
    rest = _rest(identity, bits)
    at, stop = np.int64(starts[bucket]), np.int64(starts[bucket + 1])
    while at < stop and (words[at] >> _REST) < rest:
        at += 1
    if at == stop or (words[at] >> _REST) != rest:
        return NEW
    return SAME if (words[at] & _BODY_MASK) == (body >> _TOP_OF_BODY) else OTHER


@jit
def remember(
    table: Words,
    starts: Starts,
    words: Words,
    bits: int,
    room: int,
    ids: Words,
    start: int,
    stop: int,
    out: NDArray[np.int8],
    slots: NDArray[np.int64],
) -> tuple[int, int]:
    """Look up ids u8[n, 2] (id, body) from `start` to `stop`, and add at most `room` new ones.

    `out[i]` says whether id i is NEW, has the SAME body, or an OTHER one. `slots` takes the slots
    of `table` that were filled. Returns where it stopped, and how many it added.
    """
    added = 0
    for i in range(start, stop):
        identity, body = ids[i, 0], ids[i, 1]
        slot = _place(table, identity)
        if table[slot, 0] != _ZERO:
            out[i] = SAME if table[slot, 1] == body else OTHER
            continue
        out[i] = _closed(starts, words, bits, identity, body) if len(words) else NEW
        if out[i] != NEW:
            continue
        if added == room:
            return i, added
        table[slot, 0], table[slot, 1] = identity, body
        slots[added] = slot
        added += 1
    return stop, added


@jit
def refill(table: Words, entries: Words) -> None:
    """Fill an empty table from entries, or from another table."""
    for i in range(len(entries)):
        if entries[i, 0] != _ZERO:
            slot = _place(table, entries[i, 0])
            table[slot, 0], table[slot, 1] = entries[i, 0], entries[i, 1]


@jit
def merge(
    starts: Starts,
    words: Words,
    kept: NDArray[np.bool_],
    entries: Words,
    tag: int,
    bits: int,
    new_starts: Starts,
    new_words: Words,
) -> int:
    """Closed words of the `kept` tags, and `entries` u8[n, 2] in the order of their ids.

    Returns how many words there are.
    """
    n, entry, rest = 0, 0, _ZERO
    for bucket in range(len(new_starts) - 1):
        new_starts[bucket] = n
        at, stop = np.int64(starts[bucket]), np.int64(starts[bucket + 1])
        while True:
            while at < stop and not kept[(words[at] >> _BODY) & _TAG]:
                at += 1
            ours = (
                entry < len(entries)
                and np.int64(entries[entry, 0] >> np.uint64(64 - bits)) == bucket
            )
            if at == stop and not ours:
                break
            if ours:
                rest = _rest(entries[entry, 0], bits)
                ours = at == stop or rest < (words[at] >> _REST)
            if ours:
                body = entries[entry, 1] >> _TOP_OF_BODY
                new_words[n] = (rest << _REST) | (np.uint64(tag) << _BODY) | body
                entry += 1
            else:
                new_words[n] = words[at]
                at += 1
            n += 1
    new_starts[len(new_starts) - 1] = n
    return n
