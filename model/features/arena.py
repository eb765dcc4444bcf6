# mypy: disable-error-code="no-any-return"
# Elements of arrays are Any to mypy; numba infers every type.
"""The arena of `model.features.keys`: packed rows in blocks, and what is free. Compiled."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from model.features.keys import BLOCK, BLOCKS_N, FREE_N, KEYS_N, POSITION, ROWS_N, Table, find
from model.features.packing import SIZE, pack, size_of
from model.features.program import KEY
from model.jit import jit

Ints = NDArray[np.int64]


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
                give_back(arena, meta, free, entry)
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
def give_back(arena: Ints, meta: Ints, free: Ints, entry: int) -> None:
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
        slot = find(slots, rows, arena, arena[at + KEY])
        for k in range(blocks * BLOCK):
            arena[to * BLOCK + k] = arena[at + k]
        slots[slot] = to + 1
        to += blocks
        block += blocks
    meta[BLOCKS_N], meta[FREE_N] = to, 0
    for blocks in range(len(free)):
        free[blocks] = 0


@jit
def insert(table: Table, meta: Ints, free: Ints, packed: Ints) -> None:
    """Take over packed rows; those of known keys are replaced. There is room for all of them."""
    rows, _, slots, arena, _ = table
    at = 0
    while at < len(packed):
        size = size_of(packed, at)
        slot = find(slots, rows, arena, packed[at + KEY])
        if slots[slot] != 0:
            give_back(arena, meta, free, slots[slot])
        else:
            meta[KEYS_N] += 1
        entry = _take(arena, meta, free, (size + BLOCK - 1) // BLOCK)
        for k in range(size):
            arena[(entry - 1) * BLOCK + k] = packed[at + k]
        slots[slot] = entry
        at += size
