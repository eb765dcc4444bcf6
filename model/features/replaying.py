"""The part of a program that changes rows: what a log that was processed before has to run again.

Most of a program reads: totals, rates, expressions. They change nothing, so a fold whose features
nobody looks at can do without them, unless what changes a row depends on them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from model.features import opcodes as op
from model.features.program import Program

Ints = NDArray[np.int64]

_SCANS = {op.TOTAL, op.WIDE_TOTAL, op.VERDICT_TOTAL, op.VERDICT_DECAY, op.RUN}
_NOTES = {op.WINDOW, op.WIDE_WINDOW, op.LEVEL}
_CHANGES = {*_NOTES, op.DISTINCT, op.SINCE, op.DECAY, op.RECENT}
_OF_A_VALUE = {op.RATIO, op.DIFFERENCE, op.ZSCORE}
_SOURCE = {op.WINDOW: 6, op.WIDE_WINDOW: 6, op.LEVEL: 4, op.DECAY: 3, op.RECENT: 4}
"""Where an operation on a row names the register that it reads."""
_ALONE = {op.CALENDAR, op.CONSTANT}


def replaying(program: Program, columns: int) -> tuple[Program, list[int]]:
    """The instructions of `program` on which rows depend, and the columns that these read.

    The new program's first registers are those columns, in this order; it fills in none. Behind
    them lie those of `program`.
    """
    kept, inputs = _needed(program.code, columns)
    code = program.code[kept]
    for instruction in code:
        for at in _registers(instruction):
            register = int(instruction[at])
            instruction[at] = (
                inputs.index(register) if register in inputs else len(inputs) + register
            )
    registers = len(inputs) + program.registers
    return program._replace(code=code, consts=program.consts[kept], registers=registers), inputs


def _needed(code: Ints, columns: int) -> tuple[list[int], list[int]]:
    """Which instructions are needed, and the columns that are read before they are written."""
    wanted: set[int] = set()
    scan_wanted = False
    kept = []
    for at in range(len(code) - 1, -1, -1):
        kind = int(code[at, 0])
        writes = _writes(code[at])
        changes, scans = kind in _CHANGES, kind in _SCANS or kind == op.LEVEL
        if not (changes or (scans and scan_wanted) or not wanted.isdisjoint(writes)):
            continue
        kept.append(at)
        wanted.difference_update(writes)
        wanted.update(int(code[at, k]) for k in _reads(code[at]))
        scan_wanted = not scans and (scan_wanted or op.FIRST_OUTPUT <= kind < op.FIRST_FREE)
    return kept[::-1], sorted(register for register in wanted if register < columns)


def _writes(instruction: Ints) -> range:
    """The registers that an instruction fills."""
    kind, first = int(instruction[0]), int(instruction[1])
    if kind in _SCANS or kind in _NOTES:
        return range(0)
    return range(first, first + (int(instruction[3]) if kind == op.RECENT else 1))


def _reads(instruction: Ints) -> list[int]:
    """The places of an instruction that name registers it reads."""
    kind = int(instruction[0])
    if kind in _SOURCE:
        at = _SOURCE[kind]
        return [at] if instruction[at] >= 0 else []
    if kind in _OF_A_VALUE:
        return [2]
    if kind < op.FIRST_FREE or kind in _ALONE:
        return []
    return {op.COPY: [2], op.SELECT: [2, 3, 4]}.get(kind, [2, 3])


def _registers(instruction: Ints) -> list[int]:
    """The places of an instruction that name registers."""
    return [*([1] if len(_writes(instruction)) else []), *_reads(instruction)]
