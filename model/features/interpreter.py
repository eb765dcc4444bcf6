# mypy: disable-error-code="no-any-return"
# Elements of arrays are Any to mypy; numba infers every type.
"""Runs a plan's program for one transaction: each opcode has its branch here, and its loop in
`windows`, `wide_windows`, `times`, `verdict_run` or `arithmetic`.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from model.features import levels, opcodes, times, verdict_run, wide_windows, windows
from model.features.arithmetic import apply, true
from model.jit import inlined, jit

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@inlined
def _output(op: int, index: int, scratch: Floats, value: float, x: float, y: float) -> float:
    """Outputs: the value of one register from the totals in `scratch`."""
    n, total = scratch[0], scratch[1]
    if op == opcodes.RUN_OUTPUT:
        return scratch[index]
    if op == opcodes.COUNT:
        return n
    if op == opcodes.SUM:
        return total / x
    if op == opcodes.RATE:
        return (total + x) / (n + y)
    if op == opcodes.MEAN:
        return total / n / x if n > 0 else np.nan
    if op == opcodes.DEVIATION:
        return math.sqrt(scratch[2] / n) / x if n > 0 else np.nan
    if op == opcodes.RATIO:
        return value / n if n > 0 else np.nan
    if op == opcodes.DIFFERENCE:
        return value - n
    return (value - n) / max(total, 0.05 * abs(n), 1e-6)


@inlined
def _windowed(
    code: Ints, i: int, x: float, row: Ints, regs: Floats, time: int, scratch: Floats
) -> None:
    """Windows over values: note one, or total a window."""
    op, base, n, words, source = code[i, 0], code[i, 2], code[i, 3], code[i, 5], code[i, 6]
    pane, oldest = time // code[i, 4], windows.oldest_of(row, n, code[i, 4], time)
    before = max(pane - source, oldest - 1)
    if op == opcodes.WINDOW:
        value = regs[source] if source >= 0 else 0.0
        windows.window_note(row, base, n, words, pane, oldest, value, x, scratch)
    elif op == opcodes.TOTAL:
        windows.window_total(row, base, n, words, pane, before, scratch)
    elif op == opcodes.WIDE_WINDOW:
        wide_windows.note(row, base, n, words, pane, oldest, regs[source], x, scratch)
    else:
        wide_windows.total(row, base, n, words, pane, before, scratch)


@inlined
def _keyed(
    code: Ints,
    i: int,
    x: float,
    row: Ints,
    rowf: Floats,
    hashes: Ints,
    regs: Floats,
    time: int,
    scratch: Floats,
) -> None:
    """Operations on the entity's row."""
    op, dst, base, n, width = code[i, 0], code[i, 1], code[i, 2], code[i, 3], code[i, 4]
    if op <= opcodes.WIDE_TOTAL:
        _windowed(code, i, x, row, regs, time, scratch)
    elif op == opcodes.VERDICT_TOTAL:
        windows.verdict_total(row, base, n, width, code[i, 5], time, scratch)
    elif op == opcodes.VERDICT_DECAY:
        windows.verdict_decay(row, base, n, width, code[i, 5], x, time, scratch)
    elif op == opcodes.RUN:
        verdict_run.run(row, rowf, base, n, width, time, scratch)
    elif op == opcodes.LEVEL:
        levels.level(row, rowf, base, n, regs[width], scratch)
    elif op == opcodes.DISTINCT:
        regs[dst] = windows.distinct(row, base, n, width, time, hashes[code[i, 5]])
    elif op == opcodes.SINCE:
        regs[dst] = times.since(row, base, time)
    else:
        regs[dst] = windows.decay(row, rowf, base, time, regs[n], x)


@inlined
def _free(code: Ints, i: int, x: float, regs: Floats, time: int) -> None:
    """Operations that need no row."""
    op, dst, a, b, c = code[i, 0], code[i, 1], code[i, 2], code[i, 3], code[i, 4]
    if op == opcodes.CALENDAR:
        regs[dst] = times.calendar(a, time)
    elif op == opcodes.CONSTANT:
        regs[dst] = x
    elif op == opcodes.COPY:
        regs[dst] = regs[a]
    elif op == opcodes.SELECT:
        regs[dst] = regs[b] if true(regs[a]) else regs[c]
    else:
        regs[dst] = apply(op, regs[a], regs[b])


@inlined
def execute(
    code: Ints,
    consts: Floats,
    row: Ints,
    rowf: Floats,
    hashes: Ints,
    regs: Floats,
    time: int,
    scratch: Floats,
) -> None:
    """Run the whole program for one transaction of `row`; its columns are in `regs` then."""
    for i in range(len(code)):
        op = code[i, 0]
        if op >= opcodes.FIRST_FREE:
            _free(code, i, consts[i, 0], regs, time)
        elif op >= opcodes.FIRST_OUTPUT:
            regs[code[i, 1]] = _output(
                op, code[i, 2], scratch, regs[code[i, 2]], consts[i, 0], consts[i, 1]
            )
        elif op == opcodes.RECENT:
            windows.recent(row, rowf, code[i, 2], code[i, 3], regs[code[i, 4]], regs, code[i, 1])
        else:
            _keyed(code, i, consts[i, 0], row, rowf, hashes, regs, time, scratch)


@jit
def execute_without_row(code: Ints, consts: Floats, regs: Floats, time: int) -> None:
    """As `execute`, for a transaction without the step's entity: what is kept by it is missing."""
    for i in range(len(code)):
        op, dst = code[i, 0], code[i, 1]
        if op >= opcodes.FIRST_FREE:
            _free(code, i, consts[i, 0], regs, time)
        elif op == opcodes.RECENT:
            regs[dst : dst + code[i, 3]] = np.nan
        elif op >= opcodes.DISTINCT:
            regs[dst] = np.nan
