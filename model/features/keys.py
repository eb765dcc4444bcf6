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
from model.features.packing import SIZE, pack, size_of, unpack
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
def _key_at(entry: int, rows: Ints, arena: Ints) -> int:
    return arena[(entry - 1) * BLOCK] if entry > 0 else rows[-entry - 1, KEY]


@jit
def _find(slots: Slots, rows: Ints, arena: Ints, key: int) -> int:
    """The slot that holds a key's row, or the free slot where it belongs."""
    mask = len(slots) - 1
    slot = key & mask
    while slots[slot] != 0 and _key_at(slots[slot], rows, arena) != key:
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
    slot = _find(slots, rows, arena, key)
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
    newest, evicted = row[NEWEST], _evicted(row[GENERATION], meta)
    if evicted:
        meta[EVICTED] += 1
    if evicted or time - newest > idle or meta[CLOCK] - max(newest, row[TOUCHED]) > meta[IDLE]:
        for k in range(1, len(row)):
            row[k] = 0
        row[NEWEST] = time
        row[GENERATION] = -1
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
def _evicted(generation: int, meta: Ints) -> bool:
    """Whether a row has left because others were seen; -1 is one that is new."""
    return 0 <= generation <= meta[DEAD]


@jit
def settle(table: Table, sections: Ints, meta: Ints, free: Ints, used: Ints, packed: Ints) -> bool:
    """Pack the wide rows from `meta[POSITION]` on; False when the arena is too small for the next.

    `free` i8[blocks of the largest row + 1] are the first free blocks of each size, plus 1;
    `used` and `packed` are as `packing.pack` takes them.
    """
    rows, origins, slots, arena, _ = table
    while meta[POSITION] < meta[ROWS_N]:
        number = meta[POSITION]
        size = pack(rows[number], sections, used, packed)
        slot, entry = origins[number, 0], origins[number, 1]
        blocks = (size + BLOCK - 1) // BLOCK
        if entry == 0 or blocks != _blocks(arena, entry):
            taken = _take(arena, meta, free, blocks)
            if taken == 0:
                return False
            if entry > 0:
                _give_back(arena, meta, free, entry)
            entry = taken
        for k in range(size):
            arena[(entry - 1) * BLOCK + k] = packed[k]
        slots[slot] = entry
        meta[POSITION] += 1
    meta[ROWS_N] = 0
    return True


@jit
def _blocks(arena: Ints, entry: int) -> int:
    return (size_of(arena, (entry - 1) * BLOCK) + BLOCK - 1) // BLOCK


@jit
def _take(arena: Ints, meta: Ints, free: Ints, blocks: int) -> int:
    """Room for so many blocks, plus 1; 0 when the arena has to grow."""
    entry = free[blocks]
    if entry != 0:
        free[blocks] = arena[(entry - 1) * BLOCK]
        meta[FREE_N] -= blocks
    elif (meta[BLOCKS_N] + blocks) * BLOCK <= len(arena):
        entry = meta[BLOCKS_N] + 1
        meta[BLOCKS_N] += blocks
    return entry


@jit
def _give_back(arena: Ints, meta: Ints, free: Ints, entry: int) -> None:
    """What is free has the next one of its size in place of a key, and less than 0 for a size."""
    blocks, at = _blocks(arena, entry), (entry - 1) * BLOCK
    arena[at], arena[at + SIZE] = free[blocks], -blocks
    free[blocks] = entry
    meta[FREE_N] += blocks


@jit
def move_together(table: Table, meta: Ints, free: Ints) -> None:
    """Leave nothing free between the rows; none is wide."""
    rows, _, slots, arena, _ = table
    to, block = 0, 0
    while block < meta[BLOCKS_N]:
        at = block * BLOCK
        if arena[at + SIZE] < 0:
            block -= arena[at + SIZE]
            continue
        blocks = _blocks(arena, block + 1)
        slot = _find(slots, rows, arena, arena[at + KEY])
        for k in range(blocks * BLOCK):
            arena[to * BLOCK + k] = arena[at + k]
        slots[slot] = to + 1
        to += blocks
        block += blocks
    meta[BLOCKS_N], meta[FREE_N] = to, 0
    for blocks in range(len(free)):
        free[blocks] = 0


@jit
def forget(slots: Slots, origins: Ints, n: int) -> None:
    """Put back what stood in the slots of `n` wide rows; the newest first, so that no way to a row
    that stays is cut.
    """
    for number in range(n - 1, -1, -1):
        slots[origins[number, 0]] = origins[number, 1]


@jit
def reindex(table: Table, old: Slots) -> None:
    """Fill the empty `table.slots` from an index of the same rows."""
    rows, origins, slots, arena, _ = table
    for entry in old:
        if entry != 0:
            slot = _find(slots, rows, arena, _key_at(entry, rows, arena))
            slots[slot] = entry
            if entry < 0:
                origins[-entry - 1, 0] = slot


@jit
def _alive(newest: int, touched: int, generation: int, meta: Ints) -> bool:
    if meta[LIMIT] > 0:
        return not _evicted(generation, meta)
    return meta[CLOCK] - max(newest, touched) <= meta[IDLE]


@jit
def recount(table: Table, meta: Ints) -> None:
    """Fill `table.counts` from the rows; none is wide."""
    counts, arena = table.counts, table.arena
    for k in range(len(counts)):
        counts[k] = 0
    for entry in table.slots:
        generation = arena[(entry - 1) * BLOCK + SIZE] >> 32
        if entry > 0 and not _evicted(generation, meta):
            counts[max(generation, meta[OLDEST]) % COUNTED] += 1


@jit
def sweep(table: Table, meta: Ints, free: Ints) -> int:
    """Give back the blocks of rows that are as good as new; no row is wide. Returns how many stay.

    The index is to be made anew afterwards.
    """
    slots, arena = table.slots, table.arena
    kept = 0
    for slot in range(len(slots)):
        if slots[slot] == 0:
            continue
        at = (slots[slot] - 1) * BLOCK
        generation = arena[at + SIZE] >> 32
        if _alive(arena[at + NEWEST], arena[at + TOUCHED], generation, meta):
            kept += 1
        else:
            meta[EVICTED] += _evicted(generation, meta)
            _give_back(arena, meta, free, slots[slot])
            slots[slot] = 0
    return kept


@jit
def living(table: Table, meta: Ints, places: Ints, keys: Ints) -> int:
    """Write the slots of all rows that are not as good as new, and their keys; how many."""
    rows, _, slots, arena, _ = table
    n = 0
    for slot in range(len(slots)):
        entry = slots[slot]
        if entry > 0:
            at = (entry - 1) * BLOCK
            newest, touched = arena[at + NEWEST], arena[at + TOUCHED]
            alive = _alive(newest, touched, arena[at + SIZE] >> 32, meta)
        else:
            row = rows[-entry - 1]
            alive = entry != 0 and _alive(row[NEWEST], row[TOUCHED], row[GENERATION], meta)
        if alive:
            places[n], keys[n] = slot, _key_at(entry, rows, arena)
            n += 1
    return n


@jit
def slots_of(table: Table, keys: Ints, places: Ints) -> int:
    """Write the slots of those `keys` that there are; how many."""
    rows, _, slots, arena, _ = table
    n = 0
    for key in keys:
        slot = _find(slots, rows, arena, key)
        if slots[slot] != 0:
            places[n] = slot
            n += 1
    return n


@jit
def collect(table: Table, sections: Ints, places: Ints, used: Ints, packed: Ints, out: Ints) -> int:
    """Write the packed rows of these slots one behind the other; returns how many words they take.

    Only counts them where `out` is empty.
    """
    rows, _, slots, arena, _ = table
    words = 0
    for place in places:
        entry = slots[place]
        source, at = arena, (entry - 1) * BLOCK
        if entry < 0:
            pack(rows[-entry - 1], sections, used, packed)
            source, at = packed, 0
        size = size_of(source, at)
        if len(out) > 0:
            for k in range(size):
                out[words + k] = source[at + k]
        words += size
    return words


@jit
def count(packed: Ints) -> int:
    """How many packed rows lie one behind the other."""
    n, at = 0, 0
    while at < len(packed):
        at += size_of(packed, at)
        n += 1
    return n


@jit
def insert(table: Table, meta: Ints, free: Ints, packed: Ints) -> None:
    """Take over packed rows; those of known keys are replaced. There is room for all of them."""
    rows, _, slots, arena, _ = table
    at = 0
    while at < len(packed):
        size = size_of(packed, at)
        slot = _find(slots, rows, arena, packed[at + KEY])
        if slots[slot] != 0:
            _give_back(arena, meta, free, slots[slot])
        else:
            meta[KEYS_N] += 1
        entry = _take(arena, meta, free, (size + BLOCK - 1) // BLOCK)
        for k in range(size):
            arena[(entry - 1) * BLOCK + k] = packed[at + k]
        slots[slot] = entry
        at += size
