# mypy: disable-error-code="no-any-return"
# Elements of arrays are Any to mypy; numba infers every type.
"""Whole numbers of 128 bits as two words, high (signed) and low (its 64 bits). Compiled.

All of it is arithmetic modulo 2**128, so that the order of terms cannot change a bit, and a result
that fits is exact whatever came in between.
"""

from __future__ import annotations

import numpy as np

from model.jit import jit

MASK = 0xFFFFFFFF
_WORD = 18446744073709551616.0  # 2.0**64


@jit
def whole(value: float) -> int:
    """The whole number nearest to a float."""
    return np.int64(np.rint(value))  # type: ignore[return-value] # numba's int


@jit
def add(high: int, low: int, other_high: int, other_low: int) -> tuple[int, int]:
    """The sum of two numbers."""
    total = low + other_low
    carry = (((low & other_low) | ((low | other_low) & ~total)) >> 63) & 1
    return high + other_high + carry, total


@jit
def joined(upper: int, lower: int) -> tuple[int, int]:
    """`upper * 2**32 + lower`, where both are words and `lower` is not negative."""
    return add(upper >> 32, upper << 32, 0, lower)


@jit
def product(a: int, b: int) -> tuple[int, int]:
    """The product of two words, from those of their halves."""
    a_low, b_low = a & MASK, b & MASK
    lowest = a_low * b_low
    middle = (a >> 32) * b_low + ((lowest >> 32) & MASK)
    other = a_low * (b >> 32) + (middle & MASK)
    high = (a >> 32) * (b >> 32) + (middle >> 32) + (other >> 32)
    return high, (other << 32) | (lowest & MASK)


@jit
def times(high: int, low: int, factor: int) -> tuple[int, int]:
    """A number times a word."""
    product_high, product_low = product(low, factor)
    if low < 0:  # `product` takes it for what it is as a signed word: 2**64 less
        product_high += factor
    return product_high + high * factor, product_low


@jit
def to_float(high: int, low: int) -> float:
    """The nearest float, or the one beside it where the number needs more than 63 bits."""
    if high == low >> 63:
        return float(low)
    return float(high) * _WORD + (float(low) if low >= 0 else float(low) + _WORD)


@jit
def spread(n: int, high: int, low: int, squares_high: int, squares_low: int) -> float:
    """The sum of squared distances from their mean of n > 0 whole numbers, by their sum and the sum
    of their squares.

    From a whole number q near the mean the distances sum up to r = sum - n q, and their squares to
    squares - q (sum + r): both exact, and small where the numbers lie close to each other, however
    large they are.
    """
    middle = whole(to_float(high, low) / n)
    rest = low - n * middle
    moved_high, moved_low = times(*add(high, low, rest >> 63, rest), middle)
    about_high, about_low = add(squares_high, squares_low, ~moved_high, ~moved_low)
    about = to_float(*add(about_high, about_low, 0, 1))
    return max(about - float(rest) * float(rest) / n, 0.0)
