"""A condition as a tree: a grammar of our own, of limited depth and size, and never `eval`.

condition  = both { "or" both }
both       = negation { "and" negation }
negation   = "not" negation | comparison
comparison = sum [ ("==" | "!=" | "<" | "<=" | ">" | ">=") sum
                 | ["not"] "in" ( "(" literals ")" | "[" literals "]" | "list" ":" NAME )
                 | "is" ["not"] "missing" ]
sum        = product { ("+" | "-") product }
product    = factor { ("*" | "/") factor }
factor     = "-" factor | literal | name | function "(" sum { "," sum } ")" | "(" condition ")"
name       = NAME | "tx" "." NAME | "model" "." NAME
literal    = number | text in quotes | "true" | "false"
"""

from __future__ import annotations

from typing import NamedTuple

from model.policy.lexer import ConditionFault, Token, tokens

MOST_NODES = 200
MOST_DEPTH = 25
MOST_LITERALS = 200
COMPARISONS = ("==", "!=", "<=", ">=", "<", ">")
FUNCTIONS = {"abs": (1, 1), "log1p": (1, 1), "sqrt": (1, 1), "min": (2, 8), "max": (2, 8)}
"""How few and how many values each takes."""
RESERVED = frozenset({"and", "or", "not", "in", "is", "missing", "true", "false"})
_SCOPES = ("tx", "model")
Literal = float | str | bool


class Node(NamedTuple):
    """An operation on `args`, and where it stands.

    The leaves are `literal` (`value`), `name` (`value` the name, `scope` tx, model or empty);
    `in` has its literals in `members`, `in list` the list's name as `value`.
    """

    op: str
    at: int
    args: tuple[Node, ...] = ()
    value: Literal = ""
    scope: str = ""
    members: tuple[Node, ...] = ()


def parse(text: str) -> Node:
    """The tree of a condition. Raises ConditionFault."""
    parser = _Parser(list(tokens(text)))
    node = parser.condition(0)
    parser.end()
    return node


def children(node: Node) -> tuple[Node, ...]:
    """All nodes right below one."""
    return (*node.args, *node.members)


class _Parser:
    """Recursive descent; `depth` counts brackets, negations and signs."""

    def __init__(self, pieces: list[Token]) -> None:
        self._pieces, self._place, self._nodes = pieces, 0, 0

    @property
    def _next(self) -> Token:
        return self._pieces[self._place]

    def _take(self) -> Token:
        token = self._next
        if token.kind != "end":
            self._place += 1
        return token

    def _is(self, *texts: str) -> bool:
        """Whether the next token is one of these signs or words."""
        return self._next.kind in ("sign", "name") and self._next.text in texts

    def _expect(self, sign: str) -> None:
        if not self._is(sign):
            raise self._unexpected(f"`{sign}`")
        self._take()

    def _unexpected(self, expected: str) -> ConditionFault:
        token = self._next
        met = "the condition ends" if token.kind == "end" else f"got {token.text!r}"
        return ConditionFault(f"expected {expected}, {met}", token.at)

    def end(self) -> None:
        if self._next.kind != "end":
            raise self._unexpected("`and`, `or`, or the end")

    def _node(self, op: str, at: int, *args: Node, value: Literal = "", scope: str = "") -> Node:
        self._nodes += 1
        if self._nodes > MOST_NODES:
            raise ConditionFault(f"expected at most {MOST_NODES} operations and values", at)
        return Node(op, at, args, value, scope)

    def _deeper(self, depth: int) -> int:
        if depth >= MOST_DEPTH:
            raise ConditionFault(f"nested deeper than {MOST_DEPTH}", self._next.at)
        return depth + 1

    def condition(self, depth: int) -> Node:
        node = self._both(depth)
        while self._is("or"):
            at = self._take().at
            node = self._node("or", at, node, self._both(depth))
        return node

    def _both(self, depth: int) -> Node:
        node = self._negation(depth)
        while self._is("and"):
            at = self._take().at
            node = self._node("and", at, node, self._negation(depth))
        return node

    def _negation(self, depth: int) -> Node:
        if not self._is("not"):
            return self._comparison(depth)
        at = self._take().at
        return self._node("not", at, self._negation(self._deeper(depth)))

    def _comparison(self, depth: int) -> Node:
        left = self._sum(depth)
        if self._is(*COMPARISONS):
            token = self._take()
            node = self._node(token.text, token.at, left, self._sum(depth))
            if self._is(*COMPARISONS):
                raise ConditionFault("one comparison of two values: join two by `and`", token.at)
            return node
        if self._is("is"):
            return self._missing(left)
        if self._is("in", "not"):
            return self._membership(left)
        return left

    def _missing(self, left: Node) -> Node:
        at = self._take().at
        negated = self._is("not")
        if negated:
            self._take()
        self._expect("missing")
        node = self._node("missing", at, left)
        return self._node("not", at, node) if negated else node

    def _membership(self, left: Node) -> Node:
        at, negated = self._next.at, self._is("not")
        if negated:
            self._take()
        self._expect("in")
        if self._is("list"):
            self._take()
            self._expect(":")
            name = self._list_name()
            node = self._node("in list", at, left, value=name)
        else:
            node = self._node("in", at, left)._replace(members=self._members())
        return self._node("not in", at, node, left) if negated else node

    def _list_name(self) -> str:
        if self._next.kind != "name":
            raise self._unexpected("the name of a list")
        return self._take().text

    def _members(self) -> tuple[Node, ...]:
        if not self._is("(", "["):
            raise self._unexpected("`list:NAME`, or values in brackets")
        opened = self._take().text
        members = [self._literal()]
        while self._is(","):
            self._take()
            members.append(self._literal())
            if len(members) > MOST_LITERALS:
                raise ConditionFault(
                    f"expected at most {MOST_LITERALS} values: make a list", members[-1].at
                )
        self._expect(")" if opened == "(" else "]")
        return tuple(members)

    def _literal(self) -> Node:
        minus = self._is("-")
        at = self._take().at if minus else self._next.at
        token = self._next
        if token.kind == "number":
            number = float(self._take().text)
            return Node("literal", at, value=-number if minus else number)
        if token.kind == "text" and not minus:
            return Node("literal", at, value=self._take().text)
        raise self._unexpected("a number, or a text in quotes")

    def _sum(self, depth: int) -> Node:
        node = self._product(depth)
        while self._is("+", "-"):
            token = self._take()
            node = self._node(token.text, token.at, node, self._product(depth))
        return node

    def _product(self, depth: int) -> Node:
        node = self._factor(depth)
        while self._is("*", "/"):
            token = self._take()
            node = self._node(token.text, token.at, node, self._factor(depth))
        return node

    def _factor(self, depth: int) -> Node:
        token = self._next
        if self._is("-"):
            self._take()
            return self._node("negative", token.at, self._factor(self._deeper(depth)))
        if self._is("("):
            self._take()
            node = self.condition(self._deeper(depth))
            self._expect(")")
            return node
        if token.kind == "number":
            return self._node("literal", token.at, value=float(self._take().text))
        if token.kind == "text":
            return self._node("literal", token.at, value=self._take().text)
        if self._is("true", "false"):
            return self._node("literal", token.at, value=self._take().text == "true")
        if token.kind == "name" and token.text not in RESERVED:
            return self._named(depth)
        raise self._unexpected("a value")

    def _named(self, depth: int) -> Node:
        token = self._take()
        if self._is("("):
            return self._call(token, depth)
        if token.text in _SCOPES and self._is("."):
            self._take()
            if self._next.kind != "name":
                raise self._unexpected(f"a name behind `{token.text}.`")
            name = self._take()
            return self._node("name", token.at, value=name.text, scope=token.text)
        return self._node("name", token.at, value=token.text)

    def _call(self, token: Token, depth: int) -> Node:
        if token.text not in FUNCTIONS:
            known = ", ".join(FUNCTIONS)
            raise ConditionFault(f"no function {token.text!r}; there are {known}", token.at)
        self._take()
        inside = self._deeper(depth)
        args = [self._sum(inside)]
        while self._is(","):
            self._take()
            args.append(self._sum(inside))
        self._expect(")")
        fewest, most = FUNCTIONS[token.text]
        if not fewest <= len(args) <= most:
            takes = f"{fewest}" if fewest == most else f"{fewest} to {most}"
            raise ConditionFault(f"{token.text} takes {takes} values", token.at)
        return self._node(token.text, token.at, *args)
