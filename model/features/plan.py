"""Compiles the features of one keyed step into a program for the operator.

A program is an array of instructions, eight integers each (opcode, dst, a, b, c, d, e, f) with two
floats (x, y): no objects reach the compiled loop. Registers hold the profile's `values` in their
order, then temporaries. A profile with the column `amount` and these features

    count_1h: {op: count, by: user_id, window: 1h}
    sum_1h: {op: sum, of: amount, by: user_id, window: 1h}
    share: {op: expression, is: amount / sum_1h}

has the registers 0 amount, 1 count_1h, 2 sum_1h, 3 share, 4 a temporary, and the program

    WINDOW  0  base 5, 14 slots, pane 300 s, 2 words, register 0; x 100   add amount to its pane
    TOTAL   0  base 5, 14 slots, pane 300 s, 2 words, 13 panes            total the last hour
    COUNT   1  x 100                                                      its count
    SUM     2  x 100                                                      its sum, in units again
    DIV     4  0, 2                                                       amount / sum_1h
    COPY    3  4                                                          share

Both windows share one set of panes. `model.features.windows` draws the row that it works on.
"""

from __future__ import annotations

import math

import numpy as np

from model.features import opcodes, verdict_run
from model.features.outputs import (
    CALENDAR_PARTS,
    LEVEL_OUTPUTS,
    OUTPUTS,
    RUN_OUTPUTS,
    WIDE_WORDS,
    WORDS,
)
from model.features.packing import LEVEL, PAIRS, PLAIN, RING, VERDICTS, WIDE
from model.features.program import HEAD, Program
from model.features.replaying import replaying
from model.features.steps import feature_steps, readable, scale_of, wide_columns
from tidegate.profile import Profile
from tidegate.profile.expression import Node, parse
from tidegate.profile.field_types import Time
from tidegate.profile.spec import (
    DAY,
    Calendar,
    Count,
    DecayedSum,
    Deviation,
    Distinct,
    Expression,
    Feature,
    FraudRate,
    FraudRun,
    Level,
    Mean,
    Recent,
    SinceLast,
    Sum,
    Verdicted,
    Verdicts,
    Windowed,
    pane_us,
)

_LEAST_HORIZON = 30 * DAY


class Plan:
    """The program of step `step` (0-based) of a profile, and the layout of the rows it works on.

    `width` is the number of words in a row, `key` the place of the step's entity among the
    profile's hashed fields (-1: no windows), `carried` the columns whose values verdicts bring.
    `replaying` is the part of the program that changes rows, `replayed` the columns that it reads.
    """

    def __init__(self, profile: Profile, step: int) -> None:
        self.profile = profile
        self.entity = profile.entities[step] if profile.entities else None
        self.key = profile.hashed.index(self.entity) if self.entity else -1
        self.width = HEAD
        self._horizon_us = _LEAST_HORIZON
        self._registers = len(profile.values)
        self._register = {name: number for number, name in enumerate(profile.values)}
        self._code: list[list[int]] = []
        self._consts: list[tuple[float, float]] = []
        self._verdicts: list[tuple[int, int, int]] = []
        self._sections: list[tuple[int, int, int, int, int]] = []
        steps = feature_steps(profile)
        self._specs = {name: spec for name, spec in profile.computed.items() if steps[name] == step}
        self.carried = self._carried()
        self._wide = wide_columns(profile)
        self._compiled: set[str] = set()
        for name, spec in self._specs.items():
            if name not in self._compiled:
                self._compile(name, spec)
        self.program = Program(
            np.array(self._code, np.int64).reshape(-1, 8),
            np.array(self._consts, np.float64).reshape(-1, 2),
            np.array(self._verdicts, np.int64).reshape(-1, 3),
            np.array(self._sections, np.int64).reshape(-1, 5),
            self._horizon_us,
            self._registers,
        )
        self.replaying, self.replayed = replaying(self.program, len(profile.values))

    def _carried(self) -> list[int]:
        runs = [spec for spec in self._specs.values() if isinstance(spec, FraudRun)]
        return sorted({self._register[spec.of] for spec in runs if spec.of is not None})

    @property
    def keeps_verdicts(self) -> bool:
        """Whether any of the features depends on verdicts."""
        return len(self.program.verdicts) > 0

    @property
    def keeps_windows(self) -> bool:
        """Whether rows are kept at all."""
        return self.width > HEAD

    def _emit(self, op: int, dst: int = 0, *args: int, x: float = 0.0, y: float = 0.0) -> None:
        self._code.append([op, dst, *args, *([0] * (6 - len(args)))])
        self._consts.append((x, y))

    def _reserve(self, words: int, kind: int = PLAIN, n: int = 0, pane: int = 0) -> int:
        """Words of the row, for `n` entries of a kind; returns where they begin."""
        base, self.width = self.width, self.width + words
        n = n or words
        self._sections.append((kind, base, n, words // n, pane))
        return base

    def _compile(self, name: str, spec: Feature) -> None:
        dst = self._register[name]
        match spec:
            case Count() | Sum() | Mean() | Deviation():
                self._window(spec)
            case FraudRate() | Verdicts():
                self._verdict_window(spec)
            case FraudRun():
                self._run(spec)
            case Level():
                self._level(spec)
            case Recent():
                base, source = self._reserve(1 + spec.last), self._register[spec.of]
                self._emit(opcodes.RECENT, dst, base, spec.last, source)
                self._compiled |= {column for column, other in self._specs.items() if other is spec}
            case Distinct():
                base = self._reserve(2 * spec.keep, PAIRS, spec.keep, spec.window)
                self._keep_for(spec.window)
                hashed = self.profile.hashed.index(spec.of)
                self._emit(opcodes.DISTINCT, dst, base, spec.keep, spec.window, hashed)
            case SinceLast():
                self._emit(opcodes.SINCE, dst, self._reserve(1))
            case DecayedSum():
                self._keep_for(10 * spec.half_life)
                base, rate = self._reserve(2), math.log(2) / spec.half_life
                self._emit(opcodes.DECAY, dst, base, self._register[spec.of], x=rate)
            case Calendar() | Expression():
                self._free(dst, spec)

    def _free(self, dst: int, spec: Calendar | Expression) -> None:
        if isinstance(spec, Calendar):
            self._emit(opcodes.CALENDAR, dst, CALENDAR_PARTS[spec.part])
        else:
            self._emit(opcodes.COPY, dst, self._expression(parse(spec.is_, readable(self.profile))))

    def _keep_for(self, span_us: int) -> None:
        """Keep an idle row at least so long."""
        self._horizon_us = max(self._horizon_us, span_us)

    def _window(self, spec: Windowed) -> None:
        """One set of panes for all windows over one column with panes of one width.

        A count joins any of them.
        """
        of, pane = self._counted(spec), pane_us(spec.window)
        group = {
            name: other
            for name, other in self._specs.items()
            if isinstance(other, Windowed)
            and pane_us(other.window) == pane
            and self._counted(other) == of
        }
        wide = of in self._wide
        words = max((WIDE_WORDS if wide else WORDS)[type(other)] for other in group.values())
        slots = self._slots(max(other.window for other in group.values()), pane)
        scale = scale_of(self.profile, of) if of else 1.0
        base = self._reserve(slots * words, WIDE if wide else RING, slots, pane)
        self._keep_for(slots * pane)
        source = self._register[of] if of else -1
        note, total = (
            (opcodes.WIDE_WINDOW, opcodes.WIDE_TOTAL) if wide else (opcodes.WINDOW, opcodes.TOTAL)
        )
        self._emit(note, 0, base, slots, pane, words, source, x=scale)
        for window in sorted({other.window for other in group.values()}):
            self._emit(total, 0, base, slots, pane, words, window // pane + 1)
            for name, other in group.items():
                if other.window == window:
                    self._emit(OUTPUTS[type(other)], self._register[name], x=scale)
        self._compiled |= set(group)

    def _slots(self, window: int, pane: int) -> int:
        """Slots of a ring: the panes that count, and those that may be ahead of them."""
        field = self.profile.fields.get(self.profile.time_field or "")
        ahead = field.max_ahead if isinstance(field, Time) else 0
        return window // pane + 1 + -(-ahead // pane)

    def _counted(self, spec: Windowed) -> str | None:
        """The column that a window is over.

        For a count that is a required input, never missing, which has windows of the same width.
        """
        if not isinstance(spec, Count):
            return spec.of
        fields = self.profile.fields
        for other in self._specs.values():
            if (
                isinstance(other, Sum | Mean | Deviation)
                and pane_us(other.window) == pane_us(spec.window)
                and other.of in fields
                and not fields[other.of].optional
            ):
                return other.of
        return None

    def _verdict_window(self, spec: Verdicted) -> None:
        """One set of panes for all windows over verdicts in panes of the same width."""
        pane = pane_us(spec.window)
        group = {
            name: other
            for name, other in self._specs.items()
            if isinstance(other, Verdicted) and pane_us(other.window) == pane
        }
        slots = self._slots(max(other.window for other in group.values()), pane)
        base = self._reserve(slots * 3, VERDICTS, slots, pane)
        self._keep_for(slots * pane)
        self._verdicts.append((base, slots, pane))
        for window, half_life in sorted(
            {(other.window, _half_life(other)) for other in group.values()}
        ):
            kept = 0.5 ** (pane / half_life) if half_life else 1.0
            op = opcodes.VERDICT_DECAY if half_life else opcodes.VERDICT_TOTAL
            self._emit(op, 0, base, slots, pane, window // pane + 1, x=kept)
            for name, other in group.items():
                if (other.window, _half_life(other)) == (window, half_life):
                    self._verdict_output(self._register[name], other)
        self._compiled |= set(group)

    def _verdict_output(self, dst: int, spec: Verdicted) -> None:
        if isinstance(spec, FraudRate):
            self._emit(opcodes.RATE, dst, x=spec.prior * spec.weight, y=spec.weight)
        else:
            self._emit(opcodes.COUNT, dst)

    def _run(self, spec: FraudRun) -> None:
        group = {
            name: other
            for name, other in self._specs.items()
            if isinstance(other, FraudRun) and other.last == spec.last
        }
        base = self._reserve(verdict_run.HEAD + spec.last * (3 + len(self.carried)))
        self._verdicts.append((base, spec.last, 0))
        self._emit(opcodes.RUN, 0, base, spec.last, len(self.carried))
        for name, other in group.items():
            index = RUN_OUTPUTS[other.give]
            if other.of is not None:
                index += self.carried.index(self._register[other.of])
            self._emit(opcodes.RUN_OUTPUT, self._register[name], index)
        self._compiled |= set(group)

    def _level(self, spec: Level) -> None:
        group = {
            name: other
            for name, other in self._specs.items()
            if isinstance(other, Level) and (other.of, other.last) == (spec.of, spec.last)
        }
        source = self._register[spec.of]
        base = self._reserve(1 + 2 * spec.last, LEVEL, spec.last)
        self._emit(opcodes.LEVEL, 0, base, spec.last, source)
        for name, other in group.items():
            self._emit(LEVEL_OUTPUTS[other.give], self._register[name], source)
        self._compiled |= set(group)

    def _expression(self, node: Node) -> int:
        """Emit code for a tree; returns the register that holds its value."""
        if node.op == "column":
            return self._register[node.column]
        args = [self._expression(arg) for arg in node.args]
        register, self._registers = self._registers, self._registers + 1
        if node.op == "constant":
            self._emit(opcodes.CONSTANT, register, x=node.constant)
        else:
            self._emit(opcodes.EXPRESSION[node.op], register, *args)
        return register


def _half_life(spec: Verdicted) -> int:
    """In us; 0 for verdicts that all count alike."""
    return spec.half_life or 0 if isinstance(spec, FraudRate) else 0
