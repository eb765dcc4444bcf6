"""The operations of expressions on registers. Missing is NaN; comparisons with it are false.

Their numbers are here, beside the loop that is compiled for them: its cache on disk follows this
file.
"""

from __future__ import annotations

import math

import numpy as np

from model.jit import jit
from tidegate.profile.expression import OPERATIONS

FIRST = 32
"""The smallest number of an operation."""
NUMBERS = {name: FIRST + at for at, name in enumerate(OPERATIONS)}
(
    _ADD,
    _SUB,
    _MUL,
    _DIV,
    _LT,
    _LE,
    _EQ,
    _NE,
    _AND,
    _OR,
    _NOT,
    SELECT,
    _LOG1P,
    _SQRT,
    _ABS,
    _MIN,
    _MAX,
    _EXP,
    _ISNAN,
) = NUMBERS.values()


@jit
def _binary(op: int, a: float, b: float) -> float:
    if op == _ADD:
        return a + b
    if op == _SUB:
        return a - b
    if op == _MUL:
        return a * b
    if op == _DIV:
        return a / b if b != 0 else np.nan
    if np.isnan(a) or np.isnan(b):
        return np.nan
    return min(a, b) if op == _MIN else max(a, b)


@jit
def _compare(op: int, a: float, b: float) -> float:
    if op == _LT:
        return 1.0 if a < b else 0.0
    if op == _LE:
        return 1.0 if a <= b else 0.0
    if op == _EQ:
        return 1.0 if a == b else 0.0
    return 1.0 if a != b and not np.isnan(a) and not np.isnan(b) else 0.0


@jit
def true(a: float) -> bool:
    """Whether a value counts as true; missing does not."""
    return a != 0 and not np.isnan(a)


@jit
def _logic(op: int, a: float, b: float) -> float:
    if op == _AND:
        return 1.0 if true(a) and true(b) else 0.0
    if op == _OR:
        return 1.0 if true(a) or true(b) else 0.0
    return 1.0 if not true(a) else 0.0


@jit
def _function(op: int, a: float) -> float:
    if op == _LOG1P:
        return math.log1p(a) if a > -1 else np.nan
    if op == _SQRT:
        return math.sqrt(a) if a >= 0 else np.nan
    if op == _ABS:
        return abs(a)
    if op == _EXP:
        return math.exp(a) if a < 700 else np.nan
    return 1.0 if np.isnan(a) else 0.0


@jit
def apply(op: int, a: float, b: float) -> float:
    """One operation of one or two operands."""
    if op <= _DIV or op in (_MIN, _MAX):
        return _binary(op, a, b)
    if op <= _NE:
        return _compare(op, a, b)
    if op <= _NOT:
        return _logic(op, a, b)
    return _function(op, a)
