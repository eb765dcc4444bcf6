"""One way to compile a loop: cached on disk, without the GIL, and without fast-math, which would move bits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

F = TypeVar("F", bound=Callable[..., Any])


def jit(function: F) -> F:
    """Compile on first call; division by zero follows IEEE 754, not Python."""
    return cast(F, numba.njit(cache=True, nogil=True, error_model="numpy")(function))


def inlined(function: F) -> F:
    """The same, for the inside of a loop: arrays as arguments of a call cost more than the work of an instruction."""
    return cast(F, numba.njit(nogil=True, error_model="numpy", inline="always")(function))
