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
    Words,
    arithmetic,
    compare,
    compare_to,
    equal_to,
    extreme,
    fill,
    function,
    hit,
    load,
    logic,
    none,
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

CHUNK = 256
Tables = tuple[Numbers, Ints, Numbers, Ints, Words, Ints]
"""Constants; where each set of numbers begins, and their members; the same of sets of hashes, and
until when each member is one.
"""
Columns = tuple[Numbers, Numbers, Words, Ints]
"""The frames' values f8[n, columns], other numbers f8[m, n], hashes u8[k, n], ingest us i8[n]."""


@jit
def _chunk(  # noqa: C901 - calls of calls would cost more than most operations
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
    constants, number_begins, number_sets, hash_begins, hash_sets, until_us = tables
    truths, n, found, at = words.view(np.uint8), len(bits), False, 0
    while at < len(code):
        op, out, a, b = code[at, 0], code[at, 1], code[at, 2], code[at, 3]
        at += 1
        if op == LOAD:
            if not loaded[out]:
                loaded[out] = True
                load(numbers[out, :n], a, values, others)
        elif op == FILL:
            fill(numbers[out, :n], constants[a])
        elif op < MIN:
            arithmetic(op, numbers[out, :n], numbers[a, :n], numbers[b, :n])
        elif op < FIRST_FUNCTION:
            extreme(op, numbers[out, :n], numbers[a, :n], numbers[b, :n])
        elif op < FIRST_COMPARISON:
            function(op, numbers[out, :n], numbers[a, :n])
        elif op < FIRST_TO_CONSTANT:
            compare(op, truths[out, :n], numbers[a, :n], numbers[b, :n])
        elif op < LT_CONSTANT:
            equal_to(op, truths[out, :n], numbers[a, :n], constants[b])
        elif op < MISSING:
            compare_to(op, truths[out, :n], numbers[a, :n], constants[b])
        elif op < NO_HASH:
            members = number_sets[number_begins[b] : number_begins[b + 1]]
            test_number(op, truths[out, :n], numbers[a, :n], members)
        elif op < FIRST_LOGIC:
            begin, end = hash_begins[b], hash_begins[b + 1]
            members_of = hash_sets[begin:end]
            test_hash(op, truths[out, :n], hashes[a], ingest_us, members_of, until_us[begin:end])
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
        loaded.fill(False)
        if stop - start < CHUNK:
            words.fill(0)
        part = (
            values[start:stop],
            others[:, start:stop],
            hashes[:, start:stop],
            ingest_us[start:stop],
        )
        found |= _chunk(code, tables, numbers, words, loaded, part, bits[start:stop])
    return found
