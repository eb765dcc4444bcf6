"""A policy's program over a batch, a chunk of transactions at a time.

A chunk's columns and registers fit the nearest cache. Most rules hold for no transaction of a chunk
after their first comparison: then the rest of the rule is passed over.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from model.jit import jit
from model.policy.loops import (
    Ints,
    Numbers,
    Truths,
    Words,
    arithmetic,
    compare,
    equal_to,
    extreme,
    function,
    hit,
    logic,
    none,
    order_to,
    test_hash,
    test_number,
)
from model.policy.opcodes import (
    FILL,
    FIRST_COMPARISON,
    FIRST_FUNCTION,
    FIRST_LOGIC,
    FIRST_TO_CONSTANT,
    HIT,
    LOAD,
    LT_CONSTANT,
    MIN,
    MISSING,
    NO_HASH,
    SKIP_IF_NONE,
)

CHUNK = 128
Tables = tuple[Numbers, Ints, Numbers, Ints, Words, Ints]
"""Constants; where each set of numbers begins, and their members; the same of sets of hashes, and
until when each member is one.
"""
Columns = tuple[Numbers, Numbers, Words, Ints]
"""The frames' values f8[n, columns], other numbers f8[m, n], hashes u8[k, n], ingest us i8[n]."""


@jit
def _load(
    loaded: NDArray[np.bool_], register: int, out: Numbers, a: int, values: Numbers, others: Numbers
) -> None:
    """A column of the values, or below 0 of the others, unless it is there already."""
    if loaded[register]:
        return
    loaded[register] = True
    if a >= 0:
        for i in range(len(out)):
            out[i] = values[i, a]
    else:
        out[:] = others[-1 - a]


@jit
def _compute(op: int, out: Numbers, a: Numbers, b: Numbers) -> None:
    if op < MIN:
        arithmetic(op, out, a, b)
    elif op < FIRST_FUNCTION:
        extreme(op, out, a, b)
    else:
        function(op, out, a)


@jit
def _test(op: int, out: Truths, a: Numbers, b: int, numbers: Numbers, tables: Tables) -> None:
    """What leads from numbers to truths; `b` is a register, a constant or a set."""
    constants, sets, members, _, _, _ = tables
    if op < FIRST_TO_CONSTANT:
        compare(op, out, a, numbers[b, : len(out)])
    elif op < LT_CONSTANT:
        equal_to(op, out, a, constants[b])
    elif op < MISSING:
        order_to(op, out, a, constants[b])
    else:
        test_number(op, out, a, members[sets[b] : sets[b + 1]])


@jit
def _chunk(
    code: NDArray[np.int32],
    tables: Tables,
    numbers: Numbers,
    words: Words,
    loaded: NDArray[np.bool_],
    columns: Columns,
    bits: NDArray[np.uint8],
) -> bool:
    """`evaluate` for at most `CHUNK` transactions."""
    values, others, hashes, ingest_us = columns
    constants, _, _, sets, members, until_us = tables
    truths, n, found, at = words.view(np.uint8), len(bits), False, 0
    while at < len(code):
        op, out, a, b = code[at, 0], code[at, 1], code[at, 2], code[at, 3]
        at += 1
        if op == LOAD:
            _load(loaded, out, numbers[out, :n], a, values, others)
        elif op == FILL:
            numbers[out, :n] = constants[a]
        elif op < FIRST_COMPARISON:
            _compute(op, numbers[out, :n], numbers[a, :n], numbers[b, :n])
        elif op < NO_HASH:
            _test(op, truths[out, :n], numbers[a, :n], b, numbers, tables)
        elif op < FIRST_LOGIC:
            members_of = slice(sets[b], sets[b + 1])
            until_of = until_us[members_of]
            test_hash(op, truths[out, :n], hashes[a], ingest_us, members[members_of], until_of)
        elif op < SKIP_IF_NONE:
            logic(op, truths[out, :n], truths[a, :n], truths[b, :n])
        elif none(words[a]):
            at = b if op == SKIP_IF_NONE else at
        elif op == HIT:
            found = True
            hit(bits, truths[a, :n], b)
    return found


@jit
def evaluate(
    code: NDArray[np.int32],
    tables: Tables,
    registers: tuple[int, int],
    columns: Columns,
    bits: NDArray[np.uint8],
) -> bool:
    """Set the bits u1[n, 16] of what holds; whether any was set."""
    values, others, hashes, ingest_us = columns
    numbers = np.empty((registers[0], CHUNK))
    words = np.zeros((registers[1], CHUNK // 8), np.uint64)
    loaded, found = np.empty(registers[0], np.bool_), False
    for start in range(0, len(values), CHUNK):
        stop = min(start + CHUNK, len(values))
        loaded[:] = False
        if stop - start < CHUNK:
            words[:] = 0
        part = (
            values[start:stop],
            others[:, start:stop],
            hashes[:, start:stop],
            ingest_us[start:stop],
        )
        found |= _chunk(code, tables, numbers, words, loaded, part, bits[start:stop])
    return found
