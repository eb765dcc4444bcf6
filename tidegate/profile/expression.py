"""Safe arithmetic on columns: Python's grammar, a fixed list of operations, never `eval`.

Allowed: names of earlier columns, numbers, True and False, `+ - * /`, comparisons, `and or not`, `a
if test else b`, `log1p sqrt abs min max exp isnan`, and a category compared with one of its
declared values in quotes. A missing operand makes arithmetic missing; comparisons with it are
false; division by zero is missing.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

_BINARY: dict[type[ast.operator], str] = {
    ast.Add: "add",
    ast.Sub: "sub",
    ast.Mult: "mul",
    ast.Div: "div",
}
_COMPARE: dict[type[ast.cmpop], tuple[str, bool]] = {
    ast.Lt: ("lt", False),
    ast.LtE: ("le", False),
    ast.Gt: ("lt", True),
    ast.GtE: ("le", True),
    ast.Eq: ("eq", False),
    ast.NotEq: ("ne", False),
}
_CALLS = {"log1p": 1, "sqrt": 1, "abs": 1, "exp": 1, "isnan": 1, "min": 2, "max": 2}


class Node(NamedTuple):
    """An operation on nodes; `column` and `constant` are the leaves."""

    op: str
    args: tuple[Node, ...] = ()
    column: str = ""
    constant: float = 0.0


def parse(text: str, columns: Mapping[str, Sequence[str]]) -> Node:
    """The tree of an expression. Raises ValueError.

    `columns` names what it may read: the values of a category, an empty sequence for numbers.
    """
    if len(text) > 1000:
        raise ValueError("expected at most 1,000 characters")
    try:
        tree = ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError, RecursionError) as error:
        raise ValueError(f"not an expression: {error}") from error
    return _Parser(columns).node(tree)


def names(node: Node) -> set[str]:
    """All columns an expression reads."""
    return {node.column} if node.op == "column" else set().union(*(names(arg) for arg in node.args))


class _Parser:
    """Turns Python's tree into ours."""

    def __init__(self, columns: Mapping[str, Sequence[str]]) -> None:
        self.columns = columns
        self.rules: dict[type[ast.expr], Callable[..., Node]] = {
            ast.Name: self._name,
            ast.Constant: self._constant,
            ast.BinOp: self._binary,
            ast.UnaryOp: self._unary,
            ast.BoolOp: self._logic,
            ast.Compare: self._compare,
            ast.IfExp: self._choice,
            ast.Call: self._call,
        }

    def node(self, tree: ast.expr) -> Node:
        rule = self.rules.get(type(tree))
        if rule is None:
            raise ValueError(f"{ast.unparse(tree)!r} is not allowed in an expression")
        return rule(tree)

    def _name(self, tree: ast.Name) -> Node:
        if tree.id not in self.columns:
            raise ValueError(f"{tree.id!r} is no column computed before this one")
        return Node("column", column=tree.id)

    def _constant(self, tree: ast.Constant) -> Node:
        if not isinstance(tree.value, int | float) or abs(tree.value) > 1e15:
            raise ValueError(f"expected a number, got {tree.value!r}")
        return Node("constant", constant=float(tree.value))

    def _binary(self, tree: ast.BinOp) -> Node:
        op = _BINARY.get(type(tree.op))
        if op is None:
            raise ValueError(f"{ast.unparse(tree)!r}: only + - * / are allowed")
        return Node(op, (self.node(tree.left), self.node(tree.right)))

    def _unary(self, tree: ast.UnaryOp) -> Node:
        if isinstance(tree.op, ast.Not):
            return Node("not", (self.node(tree.operand),))
        if isinstance(tree.op, ast.USub):
            return Node("sub", (Node("constant"), self.node(tree.operand)))
        raise ValueError(f"{ast.unparse(tree)!r} is not allowed in an expression")

    def _logic(self, tree: ast.BoolOp) -> Node:
        op = "and" if isinstance(tree.op, ast.And) else "or"
        nodes = [self.node(value) for value in tree.values]
        result = nodes[0]
        for node in nodes[1:]:
            result = Node(op, (result, node))
        return result

    def _compare(self, tree: ast.Compare) -> Node:
        if len(tree.ops) != 1 or type(tree.ops[0]) not in _COMPARE:
            raise ValueError(f"{ast.unparse(tree)!r}: one comparison of two values is allowed")
        op, swap = _COMPARE[type(tree.ops[0])]
        left, right = tree.left, tree.comparators[0]
        pair = (self._side(left, right), self._side(right, left))
        return Node(op, pair[::-1] if swap else pair)

    def _side(self, tree: ast.expr, other: ast.expr) -> Node:
        if not (isinstance(tree, ast.Constant) and isinstance(tree.value, str)):
            return self.node(tree)
        values = self.columns.get(other.id, ()) if isinstance(other, ast.Name) else ()
        if tree.value not in values:
            raise ValueError(f"{tree.value!r} is no declared value of {ast.unparse(other)}")
        return Node("constant", constant=float(list(values).index(tree.value)))

    def _choice(self, tree: ast.IfExp) -> Node:
        return Node("select", (self.node(tree.test), self.node(tree.body), self.node(tree.orelse)))

    def _call(self, tree: ast.Call) -> Node:
        name = tree.func.id if isinstance(tree.func, ast.Name) else ""
        if name not in _CALLS or tree.keywords or len(tree.args) != _CALLS[name]:
            raise ValueError(
                f"{ast.unparse(tree)!r}: allowed are "
                f"{', '.join(f'{k}/{n}' for k, n in _CALLS.items())}"
            )
        return Node(name, tuple(self.node(arg) for arg in tree.args))
