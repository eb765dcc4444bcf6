# mypy: disable-error-code="no-any-return"
# Elements of arrays are Any to mypy; numba infers every type.
"""The operations of a policy's program on the registers of a chunk.

Each is a loop of few instructions that take several transactions at once.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from model.jit import jit
from model.policy.opcodes import (
    ABS,
    ADD,
    AND,
    DIV,
    EQ,
    EQ_CONSTANT,
    GE_CONSTANT,
    GT_CONSTANT,
    LE,
    LE_CONSTANT,
    LT,
    LT_CONSTANT,
    MIN,
    MISSING,
    MUL,
    NE,
    NEGATIVE,
    NO_HASH,
    OR,
    SQRT,
    SUB,
)

Numbers = NDArray[np.float64]
Truths = NDArray[np.uint8]
Words = NDArray[np.uint64]
Ints = NDArray[np.int64]


@jit
def load(out: Numbers, a: int, values: Numbers, others: Numbers) -> None:
    """A column of the values, or below 0 of the others."""
    if a >= 0:
        for i in range(len(out)):
            out[i] = values[i, a]
    else:
        for i in range(len(out)):
            out[i] = others[-1 - a, i]


@jit
def fill(out: Numbers, value: float) -> None:
    """One number for all."""
    for i in range(len(out)):
        out[i] = value


@jit
def arithmetic(op: int, out: Numbers, a: Numbers, b: Numbers) -> None:
    """Of two numbers; by 0 is missing."""
    n = len(out)
    if op == ADD:
        for i in range(n):
            out[i] = a[i] + b[i]
    elif op == SUB:
        for i in range(n):
            out[i] = a[i] - b[i]
    elif op == MUL:
        for i in range(n):
            out[i] = a[i] * b[i]
    elif op == DIV:
        for i in range(n):
            out[i] = a[i] / b[i] if b[i] != 0 else np.nan


@jit
def extreme(op: int, out: Numbers, a: Numbers, b: Numbers) -> None:
    """Missing where one of both is."""
    for i in range(len(out)):
        if op == MIN:
            out[i] = a[i] if a[i] < b[i] or np.isnan(a[i]) else b[i]
        else:
            out[i] = a[i] if a[i] > b[i] or np.isnan(a[i]) else b[i]


@jit
def function(op: int, out: Numbers, a: Numbers) -> None:
    """Of one number."""
    n = len(out)
    if op == ABS:
        for i in range(n):
            out[i] = abs(a[i])
    elif op == NEGATIVE:
        for i in range(n):
            out[i] = -a[i]
    elif op == SQRT:
        for i in range(n):
            out[i] = math.sqrt(a[i])
    else:
        for i in range(n):
            out[i] = math.log1p(a[i])


@jit
def compare(op: int, out: Truths, a: Numbers, b: Numbers) -> None:
    """Two numbers; false where one is missing."""
    n = len(out)
    if op == EQ:
        for i in range(n):
            out[i] = a[i] == b[i]
    elif op == NE:
        for i in range(n):
            out[i] = (a[i] < b[i]) | (a[i] > b[i])
    elif op == LT:
        for i in range(n):
            out[i] = a[i] < b[i]
    elif op == LE:
        for i in range(n):
            out[i] = a[i] <= b[i]


@jit
def equal_to(op: int, out: Truths, a: Numbers, b: float) -> None:
    """A number and a constant."""
    n = len(out)
    if op == EQ_CONSTANT:
        for i in range(n):
            out[i] = a[i] == b
    else:
        for i in range(n):
            out[i] = (a[i] < b) | (a[i] > b)


@jit
def compare_to(op: int, out: Truths, a: Numbers, b: float) -> None:
    """Which of a number and a constant is less."""
    n = len(out)
    if op == LT_CONSTANT:
        for i in range(n):
            out[i] = a[i] < b
    elif op == LE_CONSTANT:
        for i in range(n):
            out[i] = a[i] <= b
    elif op == GT_CONSTANT:
        for i in range(n):
            out[i] = a[i] > b
    elif op == GE_CONSTANT:
        for i in range(n):
            out[i] = a[i] >= b


@jit
def _place(members: Numbers | Words, sought: float | np.uint64) -> int:
    """Where a value is or would be among sorted ones."""
    low, high = 0, len(members)
    while low < high:
        middle = (low + high) >> 1
        if members[middle] < sought:
            low = middle + 1
        else:
            high = middle
    return low


@jit
def test_number(op: int, out: Truths, a: Numbers, members: Numbers) -> None:
    """Whether a number is missing, or one of sorted ones."""
    for i in range(len(out)):
        if op == MISSING:
            out[i] = np.isnan(a[i])
        else:
            place = _place(members, a[i])
            out[i] = place < len(members) and members[place] == a[i]


@jit
def test_hash(
    op: int, out: Truths, a: Words, ingest_us: Ints, members: Words, until_us: Ints
) -> None:
    """Whether a text is missing, or one of sorted hashes that has not ended."""
    for i in range(len(out)):
        if op == NO_HASH:
            out[i] = a[i] == 0
        else:
            place = _place(members, a[i])
            found = place < len(members) and members[place] == a[i]
            out[i] = found and until_us[place] > ingest_us[i]


@jit
def logic(op: int, out: Truths, a: Truths, b: Truths) -> None:
    """Of one truth or two."""
    n = len(out)
    if op == AND:
        for i in range(n):
            out[i] = a[i] & b[i]
    elif op == OR:
        for i in range(n):
            out[i] = a[i] | b[i]
    else:
        for i in range(n):
            out[i] = 1 - a[i]


@jit
def none(words: Words) -> bool:
    """Whether no truth holds."""
    held = np.uint64(0)
    for i in range(len(words)):
        held |= words[i]
    return held == 0


@jit
def hit(bits: NDArray[np.uint8], truths: Truths, bit: int) -> None:
    """Set a bit for those for whom a truth holds."""
    one, byte = np.uint8(1 << (bit & 7)), bit >> 3
    for i in range(len(bits)):
        if truths[i]:
            bits[i, byte] |= one
