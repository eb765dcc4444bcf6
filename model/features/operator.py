# mypy: disable-error-code="no-any-return"
# Elements of arrays are Any to mypy; numba infers every type.
"""The operator: one compiled loop, for training and serving, that folds the log of a partition.

It takes transactions and verdicts, keeps the entities' rows, and fills in the features. When it
needs more room it stops before a record (`NEED_ROWS`, `NEED_SLOTS`, `NEED_JOURNAL`), and is called
again there.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from model.features import pending, verdict_run, windows
from model.features.interpreter import execute, execute_without_row
from model.features.keys import CLOCK, KEYS_N, POSITION, ROWS_N, WATERMARK, Table, fetch, touch
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
from model.features.program import HEAD, Program
from model.jit import jit

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Slots = NDArray[np.int32]

DONE, NEED_ROWS, NEED_SLOTS, NEED_JOURNAL = range(4)
NO_ENTITY = 0
"""The key of a transaction that has not the step's entity: it touches no row."""
_NEVER = 2**62
_AHEAD = 4
"""How many records ahead a row is fetched: to wait for memory costs more than to work on it."""


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
def _short(rows: Ints, slots: Slots, journal: Ints, meta: Ints) -> int:
    """What there is too little room for."""
    if meta[ROWS_N] >= len(rows):
        return NEED_ROWS
    if 2 * meta[KEYS_N] >= len(slots):
        return NEED_SLOTS
    return NEED_JOURNAL if meta[JOURNAL_N] >= len(journal) else DONE


@jit
def fold(
    program: Program, table: Table, waiting: Waiting, meta: Ints, transactions: Transactions
) -> int:
    """Fold the transactions from `meta[POSITION]` on, filling in the computed columns of `values`.

    Returns DONE, or what there is too little room for.
    """
    # taken out of their tuples here: handed on to inner functions they cost 3% to 9% of the loop
    code, consts, verdicts, sections, horizon, registers = program
    rows, origins, slots, arena, counts = table
    heap, queue, journal = waiting
    keys, hashes, times, ingested, values = transactions
    rowsf, columns, keyed = rows.view(np.float64), values.shape[1], rows.shape[1] > HEAD
    regs, scratch = np.empty(registers), np.zeros(3 + queue.shape[1] - CARRIED + windows.OWN)
    while meta[POSITION] < len(times):
        i = meta[POSITION]
        time = times[i]
        if keyed and i + _AHEAD < len(keys):
            fetch(slots, rows, arena, keys[i + _AHEAD])
        meta[CLOCK] = max(meta[CLOCK], ingested[i])
        meta[WATERMARK] = max(meta[WATERMARK], min(time, meta[CLOCK]))
        status = _short(rows, slots, journal, meta)
        while status == DONE and ripe(heap, queue, meta, meta[WATERMARK]):
            if meta[pending.FIRST] + _AHEAD < meta[pending.END]:
                fetch(slots, rows, arena, queue[meta[pending.FIRST] + _AHEAD, KEY])
            verdict = pop(heap, queue, journal, meta)
            key, matures = verdict[KEY], verdict[MATURES]
            row = touch(
                rows, rowsf, origins, slots, arena, counts, sections, meta, key, matures, _NEVER
            )
            _verdict(verdicts, rows[row], rowsf[row], verdict)
            status = _short(rows, slots, journal, meta)
        if status != DONE:
            return status
        for k in range(columns):
            regs[k] = values[i, k]
        if keyed and keys[i] == NO_ENTITY:
            execute_without_row(code, consts, regs, time)
        else:
            row = 0
            if keyed:
                row = touch(
                    rows,
                    rowsf,
                    origins,
                    slots,
                    arena,
                    counts,
                    sections,
                    meta,
                    keys[i],
                    time,
                    horizon,
                )
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
    verdicts, sections = program.verdicts, program.sections
    rows, origins, slots, arena, counts = table
    heap, queue, journal = waiting
    rowsf = rows.view(np.float64)
    while meta[POSITION] < len(labels):
        status = _short(rows, slots, journal, meta)
        if status != DONE:
            return status
        label = labels[meta[POSITION]]
        if label[MATURES] > meta[WATERMARK]:
            push(heap, queue, journal, meta, labels, meta[POSITION])
        else:
            key, matures = label[KEY], label[MATURES]
            row = touch(
                rows, rowsf, origins, slots, arena, counts, sections, meta, key, matures, _NEVER
            )
            _verdict(verdicts, rows[row], rowsf[row], label)
        meta[POSITION] += 1
    return DONE
