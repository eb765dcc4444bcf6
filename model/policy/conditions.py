"""Conditions made ready: checked against a profile's words, then a few numpy calls a batch.

What is missing makes arithmetic missing; any comparison with it is false, `!=` and `not in` as
well. Division by zero is missing.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from model.policy.facts import Facts
from model.policy.lexer import ConditionFault
from model.policy.lists import Membership
from model.policy.syntax import COMPARISONS, Node, children, parse
from model.policy.vocabulary import Vocabulary, Word

Kind = Literal["condition", "number", "flag", "category", "text", "word"]
Values = Any
"""An array of n, or a scalar that stands for n equal ones."""
Compute = Callable[[Facts], Values]
Bools = NDArray[np.bool_]
_SAID = {
    "condition": "a condition",
    "number": "a number",
    "flag": "true or false",
    "category": "a category",
    "text": "a text",
    "word": "a text in quotes",
}
_ARITHMETIC: dict[str, Callable[[Values, Values], Values]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": lambda a, b: _divided(a, b),
    "min": np.minimum,
    "max": np.maximum,
}
_ORDER: dict[str, Callable[[Values, Values], Values]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_FUNCTIONS: dict[str, Callable[[Values], Values]] = {
    "abs": np.abs,
    "log1p": np.log1p,
    "sqrt": np.sqrt,
    "negative": np.negative,
}
_NUMERIC = ("number", "flag")


class _Typed(NamedTuple):
    """A node with its kind; `word` what it names, or `literal` the text in quotes."""

    kind: Kind
    compute: Compute
    at: int
    word: Word | None = None
    literal: str = ""


class Condition(NamedTuple):
    """A condition that is ready, and which words it reads."""

    compute: Compute
    words: frozenset[Word]

    def holds(self, facts: Facts) -> Bools:
        """Of which of n transactions it is true."""
        found = self.compute(facts)
        return found if np.ndim(found) else np.full(len(facts), found, np.bool_)


def condition(text: str, words: Vocabulary, lists: Mapping[str, Membership]) -> Condition:
    """A condition made ready. Raises ConditionFault with the place of what is wrong."""
    checker = _Checker(words, lists)
    tree = parse(text)
    compute = checker.condition(tree)
    return Condition(compute, frozenset(checker.read))


def lists_named(text: str) -> set[str]:
    """The lists that a condition names. Raises ConditionFault."""
    found, waiting = set[str](), [parse(text)]
    while waiting:
        node = waiting.pop()
        waiting += children(node)
        if node.op == "in list":
            found.add(str(node.value))
    return found


class _Checker:
    """Gives each node its kind and what computes it; notes in `read` which words it needs."""

    def __init__(self, words: Vocabulary, lists: Mapping[str, Membership]) -> None:
        self._words, self._lists = words, lists
        self.read = set[Word]()

    def condition(self, node: Node) -> Compute:
        """A node that has to be true or false."""
        typed = self._typed(node)
        if typed.kind == "flag":
            compute = typed.compute
            return lambda facts: compute(facts) == 1.0
        if typed.kind != "condition":
            raise ConditionFault(
                f"expected a condition, this is {_SAID[typed.kind]}: compare it with a value",
                node.at,
            )
        return typed.compute

    def _typed(self, node: Node) -> _Typed:
        if node.op == "literal":
            return _literal(node)
        if node.op == "name":
            return self._column(self._words.find(str(node.value), node.scope, node.at), node.at)
        if node.op in ("and", "or"):
            return self._logic(node)
        if node.op == "not":
            inner = self.condition(node.args[0])
            return _Typed("condition", lambda facts: np.logical_not(inner(facts)), node.at)
        if node.op in COMPARISONS:
            return self._comparison(node)
        if node.op == "missing":
            return self._missing(node)
        if node.op in ("in", "not in", "in list"):
            return self._membership(node)
        return self._arithmetic(node)

    def _column(self, word: Word, at: int) -> _Typed:
        self._note(word, at)
        return _Typed(word.kind, lambda facts: facts.column(word), at, word)

    def _note(self, word: Word, at: int) -> None:
        if word.source == "payload" and self._words.profile.erasable:
            raise ConditionFault(
                f"{word.name!r} stands only in the payload, which is encrypted in an erasable "
                "profile: make it a feature or an entity",
                at,
            )
        self.read.add(word)

    def _text(self, word: Word, at: int) -> Compute:
        """The hashes of a word that is a text, or a category that has undeclared texts."""
        as_text = self._words.text(word.name, at)
        self._note(as_text, at)
        return lambda facts: facts.column(as_text)

    def _logic(self, node: Node) -> _Typed:
        left, right = (self.condition(arg) for arg in node.args)
        join = _both if node.op == "and" else _either
        return _Typed("condition", lambda facts: join(left(facts), right, facts), node.at)

    def _comparison(self, node: Node) -> _Typed:
        left, right = (self._typed(arg) for arg in node.args)
        if left.kind == "word":
            left, right = right, left
            if node.op not in ("==", "!="):
                raise ConditionFault("texts are compared by == and != only", node.at)
        if right.kind == "word":
            if node.op not in ("==", "!="):
                raise ConditionFault("texts are compared by == and != only", node.at)
            found = self._among(left, [right.literal], node)
            return found if node.op == "==" else self._present_but_not(left, found, node)
        if left.kind in _NUMERIC and right.kind in _NUMERIC:
            return _compared(node, left.compute, right.compute)
        raise ConditionFault(
            f"{_SAID[left.kind]} and {_SAID[right.kind]} cannot be compared", node.at
        )

    def _membership(self, node: Node) -> _Typed:
        if node.op == "not in":
            found, operand = node.args
            return self._present_but_not(self._typed(operand), self._typed(found), node)
        left = self._typed(node.args[0])
        if node.op == "in list":
            return self._in_list(left, str(node.value), node)
        members = [member.value for member in node.members]
        if all(isinstance(member, str) for member in members):
            return self._among(left, [str(member) for member in members], node)
        if left.kind in _NUMERIC and not any(isinstance(member, str) for member in members):
            numbers, compute = np.array(members, np.float64), left.compute
            return _Typed("condition", lambda facts: np.isin(compute(facts), numbers), node.at)
        raise ConditionFault(f"these are not all like the left side, {_SAID[left.kind]}", node.at)

    def _in_list(self, left: _Typed, name: str, node: Node) -> _Typed:
        if name not in self._lists:
            known = ", ".join(self._lists) or "none"
            raise ConditionFault(f"no list {name!r}; there are: {known}", node.at)
        members = self._lists[name]
        if left.word is None or left.word.name != members.field:
            raise ConditionFault(
                f"the list {name} holds values of {members.field}: write "
                f"`{members.field} in list:{name}`",
                node.at,
            )
        hashes = self._text(left.word, node.at)
        return _Typed(
            "condition", lambda facts: members.holds(hashes(facts), facts.ingest_us), node.at
        )

    def _among(self, left: _Typed, texts: Sequence[str], node: Node) -> _Typed:
        """Whether a text or category is one of these."""
        word = left.word
        if word is None or left.kind not in ("text", "category"):
            raise ConditionFault(
                f"a text in quotes is compared with a field, not with {_SAID[left.kind]}", node.at
            )
        if left.kind == "category" and all(text in word.codes for text in texts):
            codes = np.array([word.codes.index(text) for text in texts], np.float64)
            compute = left.compute
            return _Typed("condition", lambda facts: np.isin(compute(facts), codes), node.at)
        if left.kind == "category" and not word.open:
            wrong = next(text for text in texts if text not in word.codes)
            raise ConditionFault(
                f"{wrong!r} is no value of {word.name}: {', '.join(word.codes)}", node.at
            )
        hashes = self._text(word, node.at)
        wanted = text_hashes(self._words, word.name, texts)
        return _Typed("condition", lambda facts: np.isin(hashes(facts), wanted), node.at)

    def _present_but_not(self, left: _Typed, found: _Typed, node: Node) -> _Typed:
        missing = self._is_missing(left, node)
        compute = found.compute
        return _Typed("condition", lambda facts: ~(compute(facts) | missing(facts)), node.at)

    def _missing(self, node: Node) -> _Typed:
        return _Typed("condition", self._is_missing(self._typed(node.args[0]), node), node.at)

    def _is_missing(self, operand: _Typed, node: Node) -> Compute:
        compute = operand.compute
        if operand.kind == "text":
            return lambda facts: compute(facts) == 0
        if operand.kind in (*_NUMERIC, "category"):
            return lambda facts: np.isnan(compute(facts))
        raise ConditionFault(f"{_SAID[operand.kind]} is never missing", node.at)

    def _arithmetic(self, node: Node) -> _Typed:
        typed = [self._typed(arg) for arg in node.args]
        for each in typed:
            if each.kind not in _NUMERIC:
                raise ConditionFault(f"expected a number, this is {_SAID[each.kind]}", each.at)
        if node.op in _FUNCTIONS:
            function, inner = _FUNCTIONS[node.op], typed[0].compute
            return _Typed("number", lambda facts: function(inner(facts)), node.at)
        compute = typed[0].compute
        for each in typed[1:]:
            compute = _joined(_ARITHMETIC[node.op], compute, each.compute)
        return _Typed("number", compute, node.at)


def text_hashes(words: Vocabulary, field: str, texts: Sequence[str]) -> NDArray[np.uint64]:
    """The hashes by which frames name these values of a field; of tokens where it keeps such."""
    stored = [words.profile.stored(field, text) for text in texts]
    from model.hashing import hash64  # the pages start without numba

    return hash64([text.encode("utf-8", "surrogatepass") for text in stored])


def _literal(node: Node) -> _Typed:
    value = node.value
    if isinstance(value, str):
        return _Typed("word", lambda _: value, node.at, literal=value)
    number = np.float64(value)
    return _Typed("flag" if isinstance(value, bool) else "number", lambda _: number, node.at)


def _both(left: Values, right: Compute, facts: Facts) -> Values:
    """Most rules hit next to nothing: then the right side need not be looked at."""
    return np.logical_and(left, right(facts)) if left.any() else left


def _either(left: Values, right: Compute, facts: Facts) -> Values:
    return np.logical_or(left, right(facts)) if left.any() else right(facts)


def _divided(a: Values, b: Values) -> Values:
    if np.ndim(b) == 0 and b != 0:
        return np.divide(a, b)
    return np.where(np.not_equal(b, 0), np.divide(a, b), np.nan)


def _joined(function: Callable[[Values, Values], Values], left: Compute, right: Compute) -> Compute:
    return lambda facts: function(left(facts), right(facts))


def _compared(node: Node, left: Compute, right: Compute) -> _Typed:
    order = _ORDER[node.op]
    if node.op != "!=":
        return _Typed("condition", _joined(order, left, right), node.at)

    def differ(facts: Facts) -> Values:
        a, b = left(facts), right(facts)
        return np.not_equal(a, b) & ~np.isnan(a) & ~np.isnan(b)

    return _Typed("condition", differ, node.at)
