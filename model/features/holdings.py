# mypy: disable-error-code="no-any-return"
# Elements of arrays are Any to mypy; numba infers every type.
"""All keys of a table at once: its index made anew, who has left, and copies of rows. Compiled."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from model.features.arena import give_back
from model.features.keys import (
    BLOCK,
    CLOCK,
    COUNTED,
    EVICTED,
    IDLE,
    LIMIT,
    OLDEST,
    Slots,
    Table,
    evicted,
    find,
    key_at,
)
from model.features.packing import SIZE, pack, size_of
from model.features.program import GENERATION, NEWEST, TOUCHED
from model.jit import jit

Ints = NDArray[np.int64]


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
            slot = find(slots, rows, arena, key_at(entry, rows, arena))
            slots[slot] = entry
            if entry < 0:
                origins[-entry - 1, 0] = slot


@jit
def _alive(newest: int, touched: int, generation: int, meta: Ints) -> bool:
    if meta[LIMIT] > 0:
        return not evicted(generation, meta)
    return meta[CLOCK] - max(newest, touched) <= meta[IDLE]


@jit
def recount(table: Table, meta: Ints) -> None:
    """Fill `table.counts` from the rows; none is wide."""
    counts, arena = table.counts, table.arena
    for k in range(len(counts)):
        counts[k] = 0
    for entry in table.slots:
        generation = arena[(entry - 1) * BLOCK + SIZE] >> 32
        if entry > 0 and not evicted(generation, meta):
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
            meta[EVICTED] += evicted(generation, meta)
            give_back(arena, meta, free, slots[slot])
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
            places[n], keys[n] = slot, key_at(entry, rows, arena)
            n += 1
    return n


@jit
def slots_of(table: Table, keys: Ints, places: Ints) -> int:
    """Write the slots of those `keys` that there are; how many."""
    rows, _, slots, arena, _ = table
    n = 0
    for key in keys:
        slot = find(slots, rows, arena, key)
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
