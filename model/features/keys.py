# mypy: disable-error-code="no-any-return"
# Elements of arrays are Any to mypy; numba infers every type.
"""Where the rows of all keys are: packed in one arena, or wide while a batch works on them.

A batch unpacks a row when it meets its key first. Committing packs the rows again; until then the
arena is as it was, so that undoing a batch is to forget its rows. The arena is cut into blocks of
`BLOCK` words; a row lies in as few as hold it. What a row leaves free is chained with others of its
size, and taken before the arena's end moves on; where too much is free, rows move together.

Of all keys those seen least recently can be made to leave. A generation ends when so many keys were
seen in it for the first time; each key belongs to the newest that saw it. Where more keys are alive
than `LIMIT`, those of the oldest generation are as good as new from then on. That is a function of
the log alone: when their memory is given back changes nothing else. (So idle keys count as well.)
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from model.features import pending
from model.features.packing import unpack
from model.features.prefetch import prefetch, prefetch_words
from model.features.program import FLOOR, GENERATION, KEY, LATE_US, NEWEST, TOUCHED
from model.jit import jit

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Slots = NDArray[np.int32]

(
    WATERMARK,
    CLOCK,
    IDLE,
    ROWS_N,
    KEYS_N,
    BLOCKS_N,
    FREE_N,
    POSITION,
    LIMIT,
    ALIVE_N,
    NOW,
    SEEN_N,
    OLDEST,
    DEAD,
    EVICTED,
) = range(pending.META, pending.META + 15)
"""Places in `meta`, after those of `model.features.pending`. Verdicts ripen by `WATERMARK`, the
newest of min(event time, ingest time); `CLOCK` is the newest ingest time, and a row that it is
`IDLE` ahead of leaves. `ROWS_N` rows are wide, of `KEYS_N` keys; the arena ends with block
`BLOCKS_N`, and `FREE_N` of these are free. Where `LIMIT` is not 0, `ALIVE_N` keys are alive; `NOW`
is the generation, which has seen `SEEN_N` keys, `OLDEST` the oldest that is counted by itself,
`DEAD` the newest whose keys have left; `EVICTED` of them were given back or came again."""
META = EVICTED + 1
BLOCK = 4
_SHARE = 64
"""A generation is such a part of the limit."""
COUNTED = 1 << 16
"""So many generations are counted by themselves; older ones leave together."""
_FETCHED = 64
"""Words of a packed row that are asked for ahead: most are no longer."""


def alive_of(limit: int) -> int:
    """How many keys may be alive for at most `limit` to be held: what leaves is given back late."""
    return limit - limit // 8


class Table(NamedTuple):
    """The rows of all entities.

    `rows` i8[n, plan.width] are those a batch works on; `origins` i8[n, 2] the slot of each, and
    what stood there before. `slots` i4[a power of 2], the hash index: 0 for a free slot, block + 1
    of a packed row, or -(number + 1) of a wide one. `arena` i8[blocks * BLOCK]. `counts` i8[COUNTED
    or 0] are the keys alive of each generation, by its number modulo that.
    """

    rows: Ints
    origins: Ints
    slots: Slots
    arena: Ints
    counts: Ints


@jit
def key_at(entry: int, rows: Ints, arena: Ints) -> int:
    """The key of the row that an entry of the index stands for."""
    return arena[(entry - 1) * BLOCK] if entry > 0 else rows[-entry - 1, KEY]


@jit
def find(slots: Slots, rows: Ints, arena: Ints, key: int) -> int:
    """The slot that holds a key's row, or the free slot where it belongs."""
    mask = len(slots) - 1
    slot = key & mask
    while slots[slot] != 0 and key_at(slots[slot], rows, arena) != key:
        slot = (slot + 1) & mask
    return slot


@jit
def fetch(slots: Slots, rows: Ints, arena: Ints, key: int) -> None:
    """Start loading the row where a key's most likely is."""
    entry = slots[key & (len(slots) - 1)]
    if entry > 0:
        prefetch_words(arena, (entry - 1) * BLOCK, _FETCHED)
    elif entry < 0:
        prefetch(rows, -entry - 1)


@jit
def _open(
    rows: Ints,
    rowsf: Floats,
    origins: Ints,
    slots: Slots,
    arena: Ints,
    sections: Ints,
    meta: Ints,
    key: int,
    time: int,
) -> int:
    """The number of the key's wide row."""
    slot = find(slots, rows, arena, key)
    entry = slots[slot]
    if entry < 0:
        return -entry - 1
    number = meta[ROWS_N]
    meta[ROWS_N] += 1
    origins[number, 0], origins[number, 1] = slot, entry
    slots[slot] = -(number + 1)
    if entry > 0:
        unpack(arena, (entry - 1) * BLOCK, sections, rows[number], rowsf[number])
        return number
    meta[KEYS_N] += 1
    for k in range(rows.shape[1]):
        rows[number, k] = 0
    rows[number, KEY], rows[number, NEWEST], rows[number, TOUCHED] = key, time, meta[CLOCK]
    rows[number, GENERATION] = -1
    return number


@jit
def touch(
    rows: Ints,
    rowsf: Floats,
    origins: Ints,
    slots: Slots,
    arena: Ints,
    counts: Ints,
    sections: Ints,
    meta: Ints,
    key: int,
    time: int,
    idle: int,
) -> int:
    """The number of a key's wide row: made if new, emptied if it was idle too long.

    How long is between its own newest event and this one (`idle`; a verdict never empties it so),
    or by ingest time; what other keys do matters only where generations end.
    """
    number = _open(rows, rowsf, origins, slots, arena, sections, meta, key, time)
    row = rows[number]
    newest, gone = row[NEWEST], evicted(row[GENERATION], meta)
    if gone:
        meta[EVICTED] += 1
    if gone or time - newest > idle or meta[CLOCK] - max(newest, row[TOUCHED]) > meta[IDLE]:
        # who was idle is alive, and counted, until others were seen
        generation = -1 if gone else row[GENERATION]
        for k in range(1, len(row)):
            row[k] = 0
        row[NEWEST] = time
        row[GENERATION] = generation
    row[NEWEST], row[TOUCHED] = max(row[NEWEST], time), meta[CLOCK]
    row[FLOOR] = row[NEWEST] - LATE_US
    if meta[LIMIT] == 0:
        row[GENERATION] = 0
    elif row[GENERATION] != meta[NOW]:
        _see(row, counts, meta)
    return number


@jit
def _see(row: Ints, counts: Ints, meta: Ints) -> None:
    """A key comes for the first time in this generation."""
    if row[GENERATION] >= 0:
        counts[max(row[GENERATION], meta[OLDEST]) % COUNTED] -= 1
    else:
        meta[ALIVE_N] += 1
    row[GENERATION] = meta[NOW]
    counts[meta[NOW] % COUNTED] += 1
    meta[SEEN_N] += 1
    if meta[SEEN_N] >= max(1, meta[LIMIT] // _SHARE):
        meta[NOW] += 1
        meta[SEEN_N] = 0
        if meta[NOW] - meta[OLDEST] == COUNTED:
            counts[(meta[OLDEST] + 1) % COUNTED] += counts[meta[OLDEST] % COUNTED]
            counts[meta[OLDEST] % COUNTED] = 0
            meta[OLDEST] += 1
    while meta[ALIVE_N] > meta[LIMIT]:
        meta[ALIVE_N] -= counts[meta[OLDEST] % COUNTED]
        counts[meta[OLDEST] % COUNTED] = 0
        meta[DEAD] = meta[OLDEST]
        meta[OLDEST] += 1


@jit
def evicted(generation: int, meta: Ints) -> bool:
    """Whether a row has left because others were seen; -1 is one that is new."""
    return 0 <= generation <= meta[DEAD]
