"""Compiles the features of one keyed step into a program for the operator: rows of integers, no
objects.

An instruction is eight integers (op, dst, a, b, c, d, e, f) and two floats (x, y). Registers are
the profile's `values` in their order, then temporaries. A state row is: key, newest time, then the
words each window needs.
"""

from __future__ import annotations

import math

import numpy as np

from model.features import opcodes, verdict_run
from model.features.steps import feature_steps
from tidegate.profile import Profile
from tidegate.profile.check import pane_us
from tidegate.profile.expression import Node, parse
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
)

_PARTS = {"hour_sin": 0, "hour_cos": 1, "weekday": 2, "is_weekend": 3, "is_night": 4}
_GIVES = {"ratio": opcodes.RATIO, "difference": opcodes.DIFFERENCE, "zscore": opcodes.ZSCORE}
_RUN_PARTS = {"count": 0, "age": 1, "since_legitimate": 2, "least": 3}
_WORDS = {Count: 1, Sum: 2, Mean: 2, Deviation: 4}
_OUTS = {Count: opcodes.COUNT, Sum: opcodes.SUM, Mean: opcodes.MEAN, Deviation: opcodes.DEVIATION}
HEAD = 2
"""Words of a row before the windows: key, newest time."""
_LEAST_HORIZON = 30 * DAY


class Plan:
    """The program of step `step` (0-based) of a profile.

    `code` i8[n,8], `consts` f8[n,2], `verdicts` i8[m,3] (base, slots, pane of each window over
    verdicts, or base, last, 0 of each memory of verdicts), `carried` the columns whose values
    verdicts bring along, `width` words of a row, `registers`, `horizon_us` after which an idle row
    is as good as new, `key` the index of the step's entity among the profile's hashed fields (-1:
    no windows).
    """

    def __init__(self, profile: Profile, step: int) -> None:
        self.profile = profile
        self.entity = profile.entities[step] if profile.entities else None
        self.key = profile.hashed.index(self.entity) if self.entity else -1
        self.width = HEAD
        self.horizon_us = _LEAST_HORIZON
        self.registers = len(profile.values)
        self._register = {name: number for number, name in enumerate(profile.values)}
        self._code: list[list[int]] = []
        self._consts: list[tuple[float, float]] = []
        self._verdicts: list[tuple[int, int, int]] = []
        self._grouped: set[str] = set()
        steps = feature_steps(profile)
        self._mine = {name: spec for name, spec in profile.computed.items() if steps[name] == step}
        self.carried = sorted(
            {
                self._register[spec.of]
                for spec in self._mine.values()
                if isinstance(spec, FraudRun) and spec.of is not None
            }
        )
        for name, spec in self._mine.items():
            if name not in self._grouped:
                self._compile(name, spec)
        self.code = np.array(self._code, np.int64).reshape(-1, 8)
        self.consts = np.array(self._consts, np.float64).reshape(-1, 2)
        self.verdicts = np.array(self._verdicts, np.int64).reshape(-1, 3)

    @property
    def keeps_windows(self) -> bool:
        """Whether rows are kept at all."""
        return self.width > HEAD

    def _emit(self, op: int, dst: int = 0, *args: int, x: float = 0.0, y: float = 0.0) -> None:
        self._code.append([op, dst, *args, *([0] * (6 - len(args)))])
        self._consts.append((x, y))

    def _take(self, words: int) -> int:
        base, self.width = self.width, self.width + words
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
                self._emit(
                    opcodes.RECENT,
                    dst,
                    self._take(1 + spec.last),
                    spec.last,
                    self._register[spec.of],
                )
                self._grouped |= {column for column, other in self._mine.items() if other is spec}
            case Distinct():
                base = self._take(2 * spec.keep)
                self._reach(spec.window)
                self._emit(
                    opcodes.DISTINCT,
                    dst,
                    base,
                    spec.keep,
                    spec.window,
                    self.profile.hashed.index(spec.of),
                )
            case SinceLast():
                self._emit(opcodes.SINCE, dst, self._take(1))
            case DecayedSum():
                self._reach(10 * spec.half_life)
                self._emit(
                    opcodes.DECAY,
                    dst,
                    self._take(2),
                    self._register[spec.of],
                    x=math.log(2) / spec.half_life,
                )
            case Calendar() | Expression():
                self._free(dst, spec)

    def _free(self, dst: int, spec: Calendar | Expression) -> None:
        if isinstance(spec, Calendar):
            self._emit(opcodes.CALENDAR, dst, _PARTS[spec.part])
        else:
            self._emit(opcodes.COPY, dst, self._expression(parse(spec.is_, self._columns())))

    def _reach(self, span_us: int) -> None:
        self.horizon_us = max(self.horizon_us, span_us)

    def _columns(self) -> dict[str, list[str]]:
        fields = self.profile.fields
        return {name: fields[name].values if name in fields else [] for name in self.profile.values}

    def _window(self, spec: Windowed) -> None:
        """One set of panes for all windows over the same column in panes of the same width; counts
        join any of them.
        """
        of, pane = self._counted(spec), pane_us(spec.window)
        group = {
            name: other
            for name, other in self._mine.items()
            if isinstance(other, Windowed)
            and pane_us(other.window) == pane
            and self._counted(other) == of
        }
        words = max(_WORDS[type(other)] for other in group.values())
        slots = max(other.window for other in group.values()) // pane + 1
        scale = self._scale(of) if of else 1.0
        base = self._take(slots * words)
        self._reach(slots * pane)
        self._emit(
            opcodes.WINDOW, 0, base, slots, pane, words, self._register[of] if of else -1, x=scale
        )
        for window in sorted({other.window for other in group.values()}):
            self._emit(opcodes.TOTAL, 0, base, slots, pane, words, window // pane + 1)
            for name, other in group.items():
                if other.window == window:
                    self._emit(_OUTS[type(other)], self._register[name], x=scale)
        self._grouped |= set(group)

    def _counted(self, spec: Windowed) -> str | None:
        """The column of a window; for a count a required input that has windows, since it is never
        missing.
        """
        if not isinstance(spec, Count):
            return spec.of
        fields = self.profile.fields
        for other in self._mine.values():
            if (
                isinstance(other, Sum | Mean | Deviation)
                and pane_us(other.window) == pane_us(spec.window)
                and other.of in fields
                and not fields[other.of].optional
            ):
                return other.of
        return None

    def _scale(self, of: str) -> float:
        field = self.profile.fields.get(of)
        return 10.0 ** (field.decimals if field is not None and field.type == "money" else 4)

    def _verdict_window(self, spec: Verdicted) -> None:
        """One set of panes for all windows over verdicts in panes of the same width."""
        pane = pane_us(spec.window)
        group = {
            name: other
            for name, other in self._mine.items()
            if isinstance(other, Verdicted) and pane_us(other.window) == pane
        }
        slots = max(other.window for other in group.values()) // pane + 1
        base = self._take(slots * 3)
        self._reach(slots * pane)
        self._verdicts.append((base, slots, pane))
        for window, half_life in sorted(
            {(other.window, _half_life(other)) for other in group.values()}
        ):
            kept = 0.5 ** (pane / half_life) if half_life else 1.0
            self._emit(
                opcodes.VERDICT_DECAY if half_life else opcodes.VERDICT_TOTAL,
                0,
                base,
                slots,
                pane,
                window // pane + 1,
                x=kept,
            )
            for name, other in group.items():
                if (other.window, _half_life(other)) == (window, half_life):
                    self._verdict_output(self._register[name], other)
        self._grouped |= set(group)

    def _verdict_output(self, dst: int, spec: Verdicted) -> None:
        if isinstance(spec, FraudRate):
            self._emit(opcodes.RATE, dst, x=spec.prior * spec.weight, y=spec.weight)
        else:
            self._emit(opcodes.COUNT, dst)

    def _run(self, spec: FraudRun) -> None:
        group = {
            name: other
            for name, other in self._mine.items()
            if isinstance(other, FraudRun) and other.last == spec.last
        }
        base = self._take(verdict_run.HEAD + spec.last * (3 + len(self.carried)))
        self._verdicts.append((base, spec.last, 0))
        self._emit(opcodes.RUN, 0, base, spec.last, len(self.carried))
        for name, other in group.items():
            part = _RUN_PARTS[other.give]
            if other.of is not None:
                part += self.carried.index(self._register[other.of])
            self._emit(opcodes.RUN_OUTPUT, self._register[name], part)
        self._grouped |= set(group)

    def _level(self, spec: Level) -> None:
        group = {
            name: other
            for name, other in self._mine.items()
            if isinstance(other, Level) and (other.of, other.last) == (spec.of, spec.last)
        }
        source = self._register[spec.of]
        self._emit(opcodes.LEVEL, 0, self._take(1 + 2 * spec.last), spec.last, source)
        for name, other in group.items():
            self._emit(_GIVES[other.give], self._register[name], source)
        self._grouped |= set(group)

    def _expression(self, node: Node) -> int:
        """Emit code for a tree; returns the register that holds its value."""
        if node.op == "column":
            return self._register[node.column]
        args = [self._expression(arg) for arg in node.args]
        register, self.registers = self.registers, self.registers + 1
        if node.op == "constant":
            self._emit(opcodes.CONSTANT, register, x=node.constant)
        else:
            self._emit(opcodes.EXPRESSION[node.op], register, *args)
        return register


def _half_life(spec: Verdicted) -> int:
    """In us; 0 for verdicts that all count alike."""
    return spec.half_life or 0 if isinstance(spec, FraudRate) else 0
