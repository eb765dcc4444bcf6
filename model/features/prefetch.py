# mypy: disable-error-code="no-untyped-call"
"""Asks for memory before it is needed, from compiled loops."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic
from numba.np.arrayobj import make_array
from numpy.typing import NDArray

from model.jit import jit

Untyped = Any
"""numba and llvmlite ship no types."""
_LINE = 8
"""Words of a cache line."""
_WRITE, _KEEP, _DATA = 1, 3, 1
"""What `llvm.prefetch` is told."""


@intrinsic
def _start_loading(_typing: Untyped, words: Untyped, word: Untyped) -> Untyped:
    del word

    def generate(context: Untyped, builder: Untyped, signature: Untyped, args: Untyped) -> Untyped:
        array = make_array(signature.args[0])(context, builder, args[0])
        place = cgutils.get_item_pointer(
            context, builder, signature.args[0], array, args[1:], wraparound=False
        )
        pointer, number = builder.bitcast(place, ir.IntType(8).as_pointer()), ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [pointer.type, number, number, number])
        builder.call(
            builder.module.declare_intrinsic("llvm.prefetch", (pointer.type,), kind),
            [pointer, number(_WRITE), number(_KEEP), number(_DATA)],
        )
        return context.get_dummy_value()

    return types.void(words, types.intp), generate


_line = cast(Any, _start_loading)


@jit
def prefetch(rows: NDArray[np.int64], row: int) -> None:
    """Start loading all of a row, to be written; nothing waits for it."""
    words = rows[row]
    for word in range(0, len(words), _LINE):
        _line(words, word)


@jit
def prefetch_words(arena: NDArray[np.int64], start: int, n: int) -> None:
    """Start loading up to `n` words from `start` on, to be written; nothing waits for it."""
    for word in range(start, min(start + n, len(arena)), _LINE):
        _line(arena, word)
