"""Compiles the features of one keyed step into a program for the operator: rows of integers, no objects.

An instruction is eight integers (op, dst, a, b, c, d, e, f) and two floats (x, y). Registers are the profile's `values`
in their order, then temporaries. A state row is: key, newest time, then the words each window needs.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tidegate.profile import Profile
from tidegate.profile.check import pane_us
from tidegate.profile.expression import OPERATIONS, Node, names, parse
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
    Level,
    Mean,
    SinceLast,
    Sum,
    Verdicts,
)

WINDOW, VERDICT, LEVEL, DISTINCT, SINCE, DECAY = range(6)
"""Touch the row; the first three leave totals for the outputs that follow them."""
COUNT, SUM, MEAN, DEVIATION, RATIO, DIFFERENCE, ZSCORE, RATE, VERDICTS = range(6, 15)
CALENDAR, CONSTANT, COPY = range(15, 18)
(ADD, SUB, MUL, DIV, LT, LE, EQ, NE, AND, OR, NOT, SELECT, LOG1P, SQRT, ABS, MIN, MAX, EXP, ISNAN) = range(20, 39)
_EXPRESSION = dict(zip(OPERATIONS, range(20, 39), strict=True))
_PARTS = {"hour_sin": 0, "hour_cos": 1, "weekday": 2, "is_weekend": 3, "is_night": 4}
_GIVES = {"ratio": RATIO, "difference": DIFFERENCE, "zscore": ZSCORE}
_WORDS = {Count: 1, Sum: 2, Mean: 2, Deviation: 4}
_OUTS = {Count: COUNT, Sum: SUM, Mean: MEAN, Deviation: DEVIATION}
HEAD = 2
"""Words of a row before the windows: key, newest time."""
_LEAST_HORIZON = 30 * DAY


class Plan:
    """The program of step `step` (0-based) of a profile.

    `code` i8[n,8], `consts` f8[n,2], `verdicts` i8[m,3] (base, slots, pane of each window over verdicts), `width` words
    of a row, `registers`, `horizon_us` after which an idle row is as good as new, `key` the index of the step's entity
    among the profile's hashed fields (-1: no windows).
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
                self._verdict_window(spec.window)
            case Level():
                self._level(spec)
            case Distinct():
                base = self._take(2 * spec.keep)
                self._reach(spec.window)
                self._emit(DISTINCT, dst, base, spec.keep, spec.window, self.profile.hashed.index(spec.of))
            case SinceLast():
                self._emit(SINCE, dst, self._take(1))
            case DecayedSum():
                self._reach(10 * spec.half_life)
                self._emit(DECAY, dst, self._take(2), self._register[spec.of], x=math.log(2) / spec.half_life)
            case Calendar():
                self._emit(CALENDAR, dst, _PARTS[spec.part])
            case Expression():
                self._emit(COPY, dst, self._expression(parse(spec.is_, self._columns())))

    def _reach(self, span_us: int) -> None:
        self.horizon_us = max(self.horizon_us, span_us)

    def _columns(self) -> dict[str, list[str]]:
        fields = self.profile.fields
        return {name: fields[name].values if name in fields else [] for name in self.profile.values}

    def _window(self, spec: Count | Sum | Mean | Deviation) -> None:
        """One set of panes for all features over the same window of the same column; counts join any of them."""
        of = self._shared_column(spec) if isinstance(spec, Count) else spec.of
        group = {name: other for name, other in self._mine.items()
                 if isinstance(other, Count | Sum | Mean | Deviation) and other.window == spec.window
                 and (other.of == of if not isinstance(other, Count) else self._shared_column(other) == of)}
        words = max(_WORDS[type(other)] for other in group.values())
        pane = pane_us(spec.window)
        slots = spec.window // pane + 1
        scale = self._scale(of) if of else 1.0
        self._reach(spec.window + pane)
        self._emit(WINDOW, 0, self._take(slots * words), slots, pane, words, self._register[of] if of else -1, x=scale)
        for name, other in group.items():
            self._emit(_OUTS[type(other)], self._register[name], x=scale)
        self._grouped |= set(group)

    def _shared_column(self, count: Count) -> str | None:
        """A required input whose windows can count for `count`, since it is never missing."""
        fields = self.profile.fields
        for other in self._mine.values():
            if (isinstance(other, Sum | Mean | Deviation) and other.window == count.window and other.of in fields
                    and not fields[other.of].optional):
                return other.of
        return None

    def _scale(self, of: str) -> float:
        field = self.profile.fields.get(of)
        return 10.0 ** (field.decimals if field is not None and field.type == "money" else 4)

    def _verdict_window(self, window: int) -> None:
        group = {name: other for name, other in self._mine.items()
                 if isinstance(other, FraudRate | Verdicts) and other.window == window}
        pane = pane_us(window)
        slots = window // pane + 1
        base = self._take(slots * 3)
        self._reach(window + pane)
        self._verdicts.append((base, slots, pane))
        self._emit(VERDICT, 0, base, slots, pane)
        for name, other in group.items():
            if isinstance(other, FraudRate):
                self._emit(RATE, self._register[name], x=other.prior * other.weight, y=other.weight)
            else:
                self._emit(VERDICTS, self._register[name])
        self._grouped |= set(group)

    def _level(self, spec: Level) -> None:
        group = {name: other for name, other in self._mine.items()
                 if isinstance(other, Level) and (other.of, other.last) == (spec.of, spec.last)}
        source = self._register[spec.of]
        self._emit(LEVEL, 0, self._take(1 + spec.last), spec.last, source)
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
            self._emit(CONSTANT, register, x=node.constant)
        else:
            self._emit(_EXPRESSION[node.op], register, *args)
        return register


def feature_steps(profile: Profile) -> dict[str, int]:
    """The earliest step in which each column can be computed."""
    steps: dict[str, int] = dict.fromkeys(profile.inputs, 0)
    columns: dict[str, Any] = dict.fromkeys(profile.values, ())
    columns |= {name: field.values for name, field in profile.fields.items()}
    for name, spec in profile.computed.items():
        by = getattr(spec, "by", None)
        if by is not None:
            steps[name] = profile.entities.index(by)
        elif isinstance(spec, Expression):
            steps[name] = max((steps[used] for used in names(parse(spec.is_, columns))), default=0)
        else:
            steps[name] = 0
    return steps
