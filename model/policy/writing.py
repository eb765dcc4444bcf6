"""What writes the operations of a condition into a program."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from model.policy import opcodes
from model.policy.lists import Membership
from model.policy.program import Builder

Write = Callable[[Builder], int]
"""Writes what computes a value; the register of numbers or truths it is in then, or the column of
hashes.
"""
_ORDER = {
    "==": opcodes.EQ,
    "!=": opcodes.NE,
    "<": opcodes.LT,
    "<=": opcodes.LE,
}
_ORDER_TO_CONSTANT = {
    "==": opcodes.EQ_CONSTANT,
    "!=": opcodes.NE_CONSTANT,
    "<": opcodes.LT_CONSTANT,
    "<=": opcodes.LE_CONSTANT,
    ">": opcodes.GT_CONSTANT,
    ">=": opcodes.GE_CONSTANT,
}
_MIRRORED = {"==": "==", "!=": "!=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}


class Operand(NamedTuple):
    """A number of a comparison; `constant` where it is one."""

    write: Write
    constant: float | None


def is_member(text: Write, members: Membership) -> Write:
    """Whether a text is on a list, when Kafka recorded the transaction."""
    return of_text(opcodes.IN_HASHES, text, lambda program: program.hashes(members))


def of_text(op: int, text: Write, members: Write | None = None) -> Write:
    """Whether a text is missing, or in a set."""

    def write(program: Builder) -> int:
        out = program.truth()
        program.write(op, out, text(program), members(program) if members else 0)
        return out

    return write


def one_of(value: Write, members: Sequence[float]) -> Write:
    """Whether a number is one of these."""
    return checked(opcodes.IN_NUMBERS, value, lambda program: program.numbers(members))


def checked(op: int, value: Write, against: Write | None = None) -> Write:
    """A number against a constant or a set, or whether it is there."""

    def write(program: Builder) -> int:
        tested, out = value(program), program.truth()
        program.write(op, out, tested, against(program) if against else 0)
        program.give_back(tested)
        return out

    return write


def compared(op: str, left: Operand, right: Operand) -> Write:
    """Two numbers."""
    if left.constant is not None or (right.constant is None and op not in _ORDER):
        left, right, op = right, left, _MIRRORED[op]
    constant = right.constant
    if constant is not None:
        to_constant = _ORDER_TO_CONSTANT[op]
        return checked(to_constant, left.write, lambda program: program.constant(constant))

    def write(program: Builder) -> int:
        a, b, out = left.write(program), right.write(program), program.truth()
        program.write(_ORDER[op], out, a, b)
        program.give_back(a, b)
        return out

    return write


def computed(op: int, *operands: Write) -> Write:
    """A number of others."""

    def write(program: Builder) -> int:
        found = [operand(program) for operand in operands]
        out = program.number()
        program.write(op, out, *found)
        program.give_back(*found)
        return out

    return write


def negated(inner: Write) -> Write:
    """Whether a condition does not hold."""

    def write(program: Builder) -> int:
        out = inner(program)
        program.write(opcodes.NOT, out, out)
        return out

    return write


def both(left: Write, right: Write) -> Write:
    """Most rules hold for next to nobody: then the right side need not be looked at."""

    def write(program: Builder) -> int:
        out = left(program)
        with program.unless_none(out):
            other = right(program)
            program.write(opcodes.AND, out, out, other)
            program.give_back_truth(other)
        return out

    return write


def either(left: Write, right: Write) -> Write:
    """Whether one of two conditions holds."""

    def write(program: Builder) -> int:
        out = left(program)
        other = right(program)
        program.write(opcodes.OR, out, out, other)
        program.give_back_truth(other)
        return out

    return write
