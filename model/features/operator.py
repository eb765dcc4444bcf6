# mypy: disable-error-code="no-any-return"
# Elements of arrays are Any to mypy; numba infers every type.
"""The operator: one compiled loop, for training and serving, that folds the log of a partition.

It takes transactions and verdicts, keeps the entities' rows, and fills in the features. When it
needs more room it stops before a record (`NEED_ROWS`, `NEED_UNDO`), and is called again there.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from model.features import pending, verdict_run, windows
from model.features.interpreter import execute, execute_without_row
from model.features.pending import (
    CARRIED,
    FRAUDS,
    JOURNAL_N,
    KEY,
    MATURES,
    VERDICTS,
    Waiting,
    pop,
    push,
    ripe,
)
from model.features.prefetch import prefetch
from model.features.program import HEAD, Program
from model.jit import jit

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Slots = NDArray[np.int32]

DONE, NEED_ROWS, NEED_UNDO = 0, 1, 2
WATERMARK, CLOCK, IDLE, ROWS_N, UNDO_N, EPOCH, POSITION = range(pending.META, pending.META + 7)
"""Places in `meta`, after those of `model.features.pending`. Verdicts ripen by `WATERMARK`, the
newest of min(event time, ingest time); `CLOCK` is the newest ingest time, and a row that it is
`IDLE` ahead of leaves."""
META = POSITION + 1
_NEVER = 2**62
NO_ENTITY = 0
"""The key of a transaction that has not the step's entity: it touches no row."""
_AHEAD = 4
"""How many records ahead a row is fetched: to wait for memory costs more than to work on it."""


class Table(NamedTuple):
    """The rows of all entities, and what undoes a batch.

    `rows` i8[capacity, plan.width]; `stamps` i8[capacity], the epoch that touched a row last;
    `slots` i4[a power of 2], the hash index: a row's number plus 1, 0 for a free slot; `undo` i8[n,
    plan.width], rows as they were before the batch; `undo_rows` i8[n], the numbers of those.
    """

    rows: Ints
    stamps: Ints
    slots: Slots
    undo: Ints
    undo_rows: Ints


class Transactions(NamedTuple):
    """A batch of n transactions.

    `keys` i8[n] are the hashes of the step's entities (`NO_ENTITY` where one has none), `hashes`
    i8[n, h] those of all hashed fields, `times` and `ingested` i8[n] event and ingest times in us,
    `values` f8[n, columns] in C order.
    """

    keys: Ints
    hashes: Ints
    times: Ints
    ingested: Ints
    values: Floats


@jit
def _find(slots: Slots, rows: Ints, key: int) -> int:
    """The slot that holds a key's row, or the free slot where it belongs."""
    mask = len(slots) - 1
    slot = key & mask
    while slots[slot] != 0 and rows[slots[slot] - 1, 0] != key:
        slot = (slot + 1) & mask
    return slot


@jit
def reindex(slots: Slots, rows: Ints, n: int) -> None:
    """Fill empty `slots` from the first `n` rows."""
    for row in range(n):
        slots[_find(slots, rows, rows[row, 0])] = row + 1


@jit
def _touch(
    rows: Ints,
    stamps: Ints,
    slots: Slots,
    undo: Ints,
    undo_rows: Ints,
    meta: Ints,
    key: int,
    time: int,
    horizon: int,
) -> int:
    """The row of a key: made if new, saved for the rollback, emptied if it was idle too long.

    How long is between its own newest event and this one (a verdict is touched with no `horizon`),
    or by ingest time; what other keys do never matters.
    """
    slot = _find(slots, rows, key)
    row = slots[slot] - 1
    if row < 0:
        row = meta[ROWS_N]
        meta[ROWS_N] += 1
        slots[slot] = row + 1
        rows[row, 0], rows[row, 1], rows[row, 2] = key, time, meta[CLOCK]
        stamps[row] = meta[EPOCH]
        return row
    if stamps[row] != meta[EPOCH]:
        stamps[row] = meta[EPOCH]
        saved = meta[UNDO_N]
        meta[UNDO_N] = saved + 1
        undo_rows[saved] = row
        # word by word, here and below: numba compiles the assignment of a slice for 1.5 s
        for k in range(rows.shape[1]):
            undo[saved, k] = rows[row, k]
    newest = rows[row, 1]
    if time - newest > horizon or meta[CLOCK] - max(newest, rows[row, 2]) > meta[IDLE]:
        for k in range(1, rows.shape[1]):
            rows[row, k] = 0
    rows[row, 1], rows[row, 2] = max(rows[row, 1], time), meta[CLOCK]
    return row


@jit
def _fetch(slots: Slots, rows: Ints, key: int) -> None:
    """Start loading the row where a key's most likely is."""
    row = slots[key & (len(slots) - 1)] - 1
    if row >= 0:
        prefetch(rows, row)


@jit
def _verdict(places: Ints, row: Ints, rowf: Floats, verdict: Ints) -> None:
    """Add a matured verdict to every window over verdicts and every memory of them."""
    for k in range(len(places)):
        base, n, pane = places[k, 0], places[k, 1], places[k, 2]
        if pane > 0:
            windows.verdict_add(
                row, base, n, pane, verdict[MATURES], verdict[VERDICTS], verdict[FRAUDS]
            )
        else:
            verdict_run.note(row, rowf, base, n, verdict, verdict[CARRIED:].view(np.float64))


@jit
def _short(rows: Ints, slots: Slots, undo: Ints, journal: Ints, meta: Ints) -> int:
    """What there is too little room for."""
    if meta[ROWS_N] >= len(rows) or 2 * meta[ROWS_N] >= len(slots):
        return NEED_ROWS
    if meta[UNDO_N] >= len(undo) or meta[JOURNAL_N] >= len(journal):
        return NEED_UNDO
    return DONE


@jit
def fold(
    program: Program, table: Table, waiting: Waiting, meta: Ints, transactions: Transactions
) -> int:
    """Fold the transactions from `meta[POSITION]` on, filling in the computed columns of `values`.

    Returns DONE, or what there is too little room for.
    """
    # taken out of their tuples here: handed on to inner functions they cost 3% to 9% of the loop
    code, consts, verdicts, horizon, registers = program
    rows, stamps, slots, undo, undo_rows = table
    heap, queue, journal = waiting
    keys, hashes, times, ingested, values = transactions
    rowsf, columns, keyed = rows.view(np.float64), values.shape[1], rows.shape[1] > HEAD
    regs, scratch = np.empty(registers), np.zeros(3 + queue.shape[1] - CARRIED + windows.OWN)
    while meta[POSITION] < len(times):
        i = meta[POSITION]
        time = times[i]
        if keyed and i + _AHEAD < len(keys):
            _fetch(slots, rows, keys[i + _AHEAD])
        meta[CLOCK] = max(meta[CLOCK], ingested[i])
        meta[WATERMARK] = max(meta[WATERMARK], min(time, meta[CLOCK]))
        status = _short(rows, slots, undo, journal, meta)
        while status == DONE and ripe(heap, queue, meta, meta[WATERMARK]):
            if meta[pending.FIRST] + _AHEAD < meta[pending.END]:
                _fetch(slots, rows, queue[meta[pending.FIRST] + _AHEAD, KEY])
            verdict = pop(heap, queue, journal, meta)
            key, matures = verdict[KEY], verdict[MATURES]
            row = _touch(rows, stamps, slots, undo, undo_rows, meta, key, matures, _NEVER)
            _verdict(verdicts, rows[row], rowsf[row], verdict)
            status = _short(rows, slots, undo, journal, meta)
        if status != DONE:
            return status
        for k in range(columns):
            regs[k] = values[i, k]
        if keyed and keys[i] == NO_ENTITY:
            execute_without_row(code, consts, regs, time)
        else:
            row = 0
            if keyed:
                row = _touch(rows, stamps, slots, undo, undo_rows, meta, keys[i], time, horizon)
            execute(code, consts, rows[row], rowsf[row], hashes[i], regs, time, scratch)
        for k in range(columns):
            values[i, k] = regs[k] if abs(regs[k]) <= 1e300 else np.nan
        meta[POSITION] += 1
    return DONE


@jit
def absorb(program: Program, table: Table, waiting: Waiting, meta: Ints, labels: Ints) -> int:
    """Fold labels, entries of `model.features.pending`, from `meta[POSITION]` on; unripe ones wait.

    Returns DONE, or what there is too little room for.
    """
    verdicts = program.verdicts
    rows, stamps, slots, undo, undo_rows = table
    heap, queue, journal = waiting
    rowsf = rows.view(np.float64)
    while meta[POSITION] < len(labels):
        status = _short(rows, slots, undo, journal, meta)
        if status != DONE:
            return status
        label = labels[meta[POSITION]]
        if label[MATURES] > meta[WATERMARK]:
            push(heap, queue, journal, meta, labels, meta[POSITION])
        else:
            key, matures = label[KEY], label[MATURES]
            row = _touch(rows, stamps, slots, undo, undo_rows, meta, key, matures, _NEVER)
            _verdict(verdicts, rows[row], rowsf[row], label)
        meta[POSITION] += 1
    return DONE
