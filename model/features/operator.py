# mypy: disable-error-code="no-any-return"
# Elements of arrays are Any to mypy; numba infers every type.
"""The operator: folds transactions and verdicts of one partition into rows and features; one
compiled loop for training and serving.

It stops at a record boundary when it needs more room (`NEED_ROWS`, `NEED_UNDO`), and is called
again at that record.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from model.features import pending, verdict_run, windows
from model.features.interpreter import execute
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
from model.jit import jit

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
            verdict_run.note(row, rowf, base, n, verdict, verdict[CARRIED:].view(np.float64))


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
        execute(code, consts, rows[row], rowsf[row], hashes[i], regs, time, scratch)
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
