from __future__ import annotations

from model.features import opcodes
from tidegate.profile.expression import Node, parse

_FIRSTS = ("FIRST_OUTPUT", "FIRST_FREE")
NUMBERS = {
    name: number
    for name, number in vars(opcodes).items()
    if isinstance(number, int) and name not in _FIRSTS
}
EVERYTHING = (
    "log1p(a) + sqrt(b) - abs(a) * min(a, b) / max(a, exp(b))"
    " if not isnan(a) and (a < b or a <= b) or a > b and a >= b and (a == b or a != b) else 1"
)
"""An expression with all operations that there are."""


def test_no_two_operations_share_a_number() -> None:
    assert len(set(NUMBERS.values())) == len(NUMBERS) > 40


def test_the_groups_are_apart() -> None:
    keyed = [number for number in NUMBERS.values() if number < opcodes.FIRST_OUTPUT]
    assert max(keyed) == opcodes.RECENT
    assert opcodes.RUN_OUTPUT < opcodes.FIRST_FREE <= opcodes.CALENDAR
    assert min(opcodes.EXPRESSION.values()) > opcodes.COPY


def test_every_operation_of_an_expression_has_a_number() -> None:
    def operations(node: Node) -> set[str]:
        return {node.op}.union(*map(operations, node.args))

    tree = parse(EVERYTHING, {"a": [], "b": []})
    assert operations(tree) - {"column", "constant"} == set(opcodes.EXPRESSION)
