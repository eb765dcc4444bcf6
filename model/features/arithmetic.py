"""The operations of expressions on registers. Missing is NaN; comparisons with it are false."""

from __future__ import annotations

import math

import numpy as np

from model.features.opcodes import (
    ABS,
    ADD,
    AND,
    DIV,
    EQ,
    EXP,
    LE,
    LOG1P,
    LT,
    MAX,
    MIN,
    MUL,
    NE,
    NOT,
    OR,
    SQRT,
    SUB,
)
from model.jit import jit


@jit
def _binary(op: int, a: float, b: float) -> float:
    if op == ADD:
        return a + b
    if op == SUB:
        return a - b
    if op == MUL:
        return a * b
    if op == DIV:
        return a / b if b != 0 else np.nan
    if np.isnan(a) or np.isnan(b):
        return np.nan
    return min(a, b) if op == MIN else max(a, b)


@jit
def _compare(op: int, a: float, b: float) -> float:
    if op == LT:
        return 1.0 if a < b else 0.0
    if op == LE:
        return 1.0 if a <= b else 0.0
    if op == EQ:
        return 1.0 if a == b else 0.0
    return 1.0 if a != b and not np.isnan(a) and not np.isnan(b) else 0.0


@jit
def true(a: float) -> bool:
    """Whether a value counts as true; missing does not."""
    return a != 0 and not np.isnan(a)


@jit
def _logic(op: int, a: float, b: float) -> float:
    if op == AND:
        return 1.0 if true(a) and true(b) else 0.0
    if op == OR:
        return 1.0 if true(a) or true(b) else 0.0
    return 1.0 if not true(a) else 0.0


@jit
def _function(op: int, a: float) -> float:
    if op == LOG1P:
        return math.log1p(a) if a > -1 else np.nan
    if op == SQRT:
        return math.sqrt(a) if a >= 0 else np.nan
    if op == ABS:
        return abs(a)
    if op == EXP:
        return math.exp(a) if a < 700 else np.nan
    return 1.0 if np.isnan(a) else 0.0


@jit
def apply(op: int, a: float, b: float) -> float:
    """One operation of one or two operands."""
    if op <= DIV or op in (MIN, MAX):
        return _binary(op, a, b)
    if op <= NE:
        return _compare(op, a, b)
    if op <= NOT:
        return _logic(op, a, b)
    return _function(op, a)
