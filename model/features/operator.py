# mypy: disable-error-code="no-any-return"
# Elements of arrays are Any to mypy; numba infers every type.
"""The operator: folds transactions and verdicts of one partition into rows and features; one
compiled loop for training and serving.

It stops at a record boundary when it needs more room (`NEED_ROWS`, `NEED_UNDO`), and is called
again at that record.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from model.features import pending, plan, windows
from model.features import verdict_run as verdicts
from model.features.arithmetic import SELECT, apply, true
from model.features.pending import (
    CARRIED,
    FRAUDS,
    JOURNAL_N,
    KEY,
    MATURES,
    VERDICTS,
    pop,
    push,
    ripe,
)
from model.features.prefetch import prefetch
from model.jit import inlined, jit

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

DONE, NEED_ROWS, NEED_UNDO = 0, 1, 2
WATERMARK, ROWS_N, UNDO_N, EPOCH, POSITION = range(pending.META, pending.META + 5)
"""Places in `meta`, after those of `model.features.pending`."""
META = POSITION + 1
_AHEAD = 4
"""How many records before its turn a row is asked for: to wait for memory costs more than what is
done with it.
"""
_WINDOW, _TOTAL, _VERDICT_TOTAL, _VERDICT_DECAY, _RUN = (
    plan.WINDOW,
    plan.TOTAL,
    plan.VERDICT_TOTAL,
    plan.VERDICT_DECAY,
    plan.RUN,
)
_DISTINCT, _SINCE, _LEVEL, _RECENT = plan.DISTINCT, plan.SINCE, plan.LEVEL, plan.RECENT
_COUNT, _SUM, _MEAN, _DEVIATION, _RATIO, _DIFFERENCE, _RATE, _RUN_PART = (
    plan.COUNT,
    plan.SUM,
    plan.MEAN,
    plan.DEVIATION,
    plan.RATIO,
    plan.DIFFERENCE,
    plan.RATE,
    plan.RUN_PART,
)
_CALENDAR, _CONSTANT, _COPY = plan.CALENDAR, plan.CONSTANT, plan.COPY
_FIRST_OUTPUT, _FIRST_FREE = plan.COUNT, plan.CALENDAR


@jit
def _find(index: NDArray[np.int32], rows: Ints, key: int) -> int:
    mask = len(index) - 1
    at = key & mask
    while index[at] != 0 and rows[index[at] - 1, 0] != key:
        at = (at + 1) & mask
    return at


@jit
def reindex(index: NDArray[np.int32], rows: Ints, n: int) -> None:
    """Fill an empty index from the first `n` rows."""
    for row in range(n):
        index[_find(index, rows, rows[row, 0])] = row + 1


@jit
def _touch(
    index: NDArray[np.int32],
    rows: Ints,
    stamps: Ints,
    undo_rows: Ints,
    undo: Ints,
    meta: Ints,
    key: int,
    time: int,
    horizon: int,
) -> int:
    """The row of a key: made if new, saved for the rollback, emptied if it was idle for too
    long.
    """
    at = _find(index, rows, key)
    row = index[at] - 1
    if row < 0:
        row = meta[ROWS_N]
        meta[ROWS_N] += 1
        index[at] = row + 1
        rows[row, 0], rows[row, 1] = key, time
        stamps[row] = meta[EPOCH]
        return row
    if stamps[row] != meta[EPOCH]:
        stamps[row] = meta[EPOCH]
        undo_rows[meta[UNDO_N]] = row
        undo[meta[UNDO_N]] = rows[row]
        meta[UNDO_N] += 1
    if meta[WATERMARK] - rows[row, 1] > horizon:
        rows[row, 1:] = 0
    rows[row, 1] = max(rows[row, 1], time)
    return row


@jit
def _fetch(index: NDArray[np.int32], rows: Ints, key: int) -> None:
    """Start loading the row where a key's most likely is."""
    row = index[key & (len(index) - 1)] - 1
    if row >= 0:
        prefetch(rows, row)


@inlined
def _output(op: int, part: int, scratch: Floats, value: float, x: float, y: float) -> float:
    n, total = scratch[0], scratch[1]
    if op == _RUN_PART:
        return scratch[part]
    if op == _COUNT:
        return n
    if op == _SUM:
        return total / x
    if op == _RATE:
        return (total + x) / (n + y)
    if op == _MEAN:
        return total / n / x if n > 0 else np.nan
    if op == _DEVIATION:
        return math.sqrt(max((scratch[2] - total / n * total) / n, 0.0)) / x if n > 0 else np.nan
    if op == _RATIO:
        return value / n if n > 0 else np.nan
    if op == _DIFFERENCE:
        return value - n
    return (value - n) / max(total, 0.05 * abs(n), 1e-6)


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
    op, dst, base, n, width = code[i, 0], code[i, 1], code[i, 2], code[i, 3], code[i, 4]
    if op == _WINDOW:
        words, source = code[i, 5], code[i, 6]
        value = regs[source] if source >= 0 else 0.0
        at = windows.slot_of(row, base, n, words, time // width) if value == value else -1
        if at >= 0:
            windows.window_add(row, at, n, words, value, x)
    elif op == _TOTAL:
        windows.window_total(row, base, n, code[i, 5], time // width, code[i, 6], scratch)
    elif op == _VERDICT_TOTAL:
        windows.verdict_total(row, base, n, width, code[i, 5], time, scratch)
    elif op == _VERDICT_DECAY:
        windows.verdict_decay(row, base, n, width, code[i, 5], x, time, scratch)
    elif op == _RUN:
        verdicts.run(row, rowf, base, n, width, time, scratch)
    elif op == _LEVEL:
        windows.level(row, rowf, base, n, regs[width], scratch)
    elif op == _DISTINCT:
        regs[dst] = windows.distinct(row, base, n, width, time, hashes[code[i, 5]])
    elif op == _SINCE:
        regs[dst] = windows.since(row, base, time)
    else:
        regs[dst] = windows.decay(row, rowf, base, time, regs[n], x)


@inlined
def _free(code: Ints, i: int, x: float, regs: Floats, time: int) -> None:
    """Operations that need no row."""
    op, dst, a, b, c = code[i, 0], code[i, 1], code[i, 2], code[i, 3], code[i, 4]
    if op == _CALENDAR:
        regs[dst] = windows.calendar(a, time)
    elif op == _CONSTANT:
        regs[dst] = x
    elif op == _COPY:
        regs[dst] = regs[a]
    elif op == SELECT:
        regs[dst] = regs[b] if true(regs[a]) else regs[c]
    else:
        regs[dst] = apply(op, regs[a], regs[b])


@inlined
def _execute(
    code: Ints,
    consts: Floats,
    row: Ints,
    rowf: Floats,
    hashes: Ints,
    regs: Floats,
    time: int,
    scratch: Floats,
) -> None:
    for i in range(len(code)):
        op = code[i, 0]
        if op >= _FIRST_FREE:
            _free(code, i, consts[i, 0], regs, time)
        elif op >= _FIRST_OUTPUT:
            regs[code[i, 1]] = _output(
                op, code[i, 2], scratch, regs[code[i, 2]], consts[i, 0], consts[i, 1]
            )
        elif op == _RECENT:
            windows.recent(row, rowf, code[i, 2], code[i, 3], regs[code[i, 4]], regs, code[i, 1])
        else:
            _keyed(code, i, consts[i, 0], row, rowf, hashes, regs, time, scratch)


@jit
def _verdict(places: Ints, row: Ints, rowf: Floats, verdict: Ints) -> None:
    """Fold a matured verdict into every window over verdicts and every memory of them."""
    for k in range(len(places)):
        base, n, pane = places[k, 0], places[k, 1], places[k, 2]
        if pane > 0:
            windows.verdict_add(
                row, base, n, pane, verdict[MATURES], verdict[VERDICTS], verdict[FRAUDS]
            )
        else:
            verdicts.note(row, rowf, base, n, verdict, verdict[CARRIED:].view(np.float64))


@jit
def _short(index: NDArray[np.int32], rows: Ints, undo: Ints, journal: Ints, meta: Ints) -> int:
    if meta[ROWS_N] >= len(rows) or 2 * meta[ROWS_N] >= len(index):
        return NEED_ROWS
    if meta[UNDO_N] >= len(undo) or meta[JOURNAL_N] >= len(journal):
        return NEED_UNDO
    return DONE


@jit
def fold(
    code: Ints,
    consts: Floats,
    places: Ints,
    horizon: int,
    index: NDArray[np.int32],
    rows: Ints,
    rowsf: Floats,
    stamps: Ints,
    undo_rows: Ints,
    undo: Ints,
    heap: Ints,
    queue: Ints,
    journal: Ints,
    meta: Ints,
    keys: Ints,
    hashes: Ints,
    times: Ints,
    values: Floats,
    registers: int,
) -> int:
    """Fold the transactions from `meta[POSITION]` on: fills in the computed columns of `values`
    f8[n, columns].

    `keys` i8[n] is the entity's hash, `hashes` i8[n, h] those of all hashed fields, `times` i8[n]
    event us; `places` are the plan's `verdicts`.
    """
    columns = values.shape[1]
    regs, scratch = np.empty(registers), np.zeros(3 + heap.shape[1] - CARRIED)
    keyed = rows.shape[1] > 2
    while meta[POSITION] < len(times):
        i = meta[POSITION]
        time = times[i]
        if keyed and i + _AHEAD < len(keys):
            _fetch(index, rows, keys[i + _AHEAD])
        meta[WATERMARK] = max(meta[WATERMARK], time)
        status = _short(index, rows, undo, journal, meta)
        while status == DONE and ripe(heap, queue, meta, meta[WATERMARK]):
            if meta[pending.FIRST] + _AHEAD < meta[pending.END]:
                _fetch(index, rows, queue[meta[pending.FIRST] + _AHEAD, KEY])
            verdict = pop(heap, queue, journal, meta)
            row = _touch(
                index, rows, stamps, undo_rows, undo, meta, verdict[KEY], verdict[MATURES], horizon
            )
            _verdict(places, rows[row], rowsf[row], verdict)
            status = _short(index, rows, undo, journal, meta)
        if status != DONE:
            return status
        row = (
            _touch(index, rows, stamps, undo_rows, undo, meta, keys[i], time, horizon)
            if keyed
            else 0
        )
        regs[:columns] = values[i]
        _execute(code, consts, rows[row], rowsf[row], hashes[i], regs, time, scratch)
        for k in range(columns):
            values[i, k] = regs[k] if abs(regs[k]) <= 1e300 else np.nan
        meta[POSITION] += 1
    return DONE


@jit
def absorb(
    places: Ints,
    horizon: int,
    index: NDArray[np.int32],
    rows: Ints,
    rowsf: Floats,
    stamps: Ints,
    undo_rows: Ints,
    undo: Ints,
    heap: Ints,
    queue: Ints,
    journal: Ints,
    meta: Ints,
    labels: Ints,
) -> int:
    """Fold labels (rows as in `model.features.pending`) from `meta[POSITION]` on; unripe ones
    wait.
    """
    while meta[POSITION] < len(labels):
        status = _short(index, rows, undo, journal, meta)
        if status != DONE:
            return status
        if labels[meta[POSITION], MATURES] > meta[WATERMARK]:
            push(heap, queue, journal, meta, labels, meta[POSITION])
        else:
            label = labels[meta[POSITION]]
            row = _touch(
                index, rows, stamps, undo_rows, undo, meta, label[KEY], label[MATURES], horizon
            )
            _verdict(places, rows[row], rowsf[row], label)
        meta[POSITION] += 1
    return DONE
