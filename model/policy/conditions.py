"""Conditions made ready: checked against a profile's words, and written as parts of a program.

What is missing makes arithmetic missing; any comparison with it is false, `!=` and `not in` as
well. Division by zero is missing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from model.policy import opcodes
from model.policy.lexer import ConditionFault
from model.policy.lists import Membership
from model.policy.syntax import COMPARISONS, Node, children, parse
from model.policy.vocabulary import Vocabulary, Word
from model.policy.writing import (
    Operand,
    Write,
    both,
    checked,
    compared,
    computed,
    either,
    is_member,
    negated,
    of_text,
    one_of,
)

Kind = Literal["condition", "number", "flag", "category", "text", "word"]
_SAID = {
    "condition": "a condition",
    "number": "a number",
    "flag": "true or false",
    "category": "a category",
    "text": "a text",
    "word": "a text in quotes",
}
_ARITHMETIC = {
    "+": opcodes.ADD,
    "-": opcodes.SUB,
    "*": opcodes.MUL,
    "/": opcodes.DIV,
    "min": opcodes.MIN,
    "max": opcodes.MAX,
}
_FUNCTIONS = {
    "abs": opcodes.ABS,
    "negative": opcodes.NEGATIVE,
    "sqrt": opcodes.SQRT,
    "log1p": opcodes.LOG1P,
}
_NUMERIC = ("number", "flag")


class _Typed(NamedTuple):
    """A node with its kind; `word` what it names, `literal` the text in quotes, `constant` the
    number that it is.
    """

    kind: Kind
    write: Write
    at: int
    word: Word | None = None
    literal: str = ""
    constant: float | None = None


class Compared(NamedTuple):
    """Texts in quotes that a condition compares with a field, at a place in it."""

    field: str
    texts: tuple[str, ...]
    at: int


class Condition(NamedTuple):
    """A condition that is ready, which words it reads, and what texts it holds."""

    write: Write
    words: frozenset[Word]
    compared: tuple[Compared, ...]


def condition(text: str, words: Vocabulary, lists: Mapping[str, Membership]) -> Condition:
    """A condition made ready. Raises ConditionFault with the place of what is wrong."""
    checker = _Checker(words, lists)
    write = checker.condition(parse(text))
    return Condition(write, frozenset(checker.read), tuple(checker.compared))


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
    """Gives each node its kind and what computes it; notes in `read` which words it needs, in
    `compared` what texts it holds.
    """

    def __init__(self, words: Vocabulary, lists: Mapping[str, Membership]) -> None:
        self._words, self._lists = words, lists
        self.read = set[Word]()
        self.compared: list[Compared] = []

    def condition(self, node: Node) -> Write:
        """A node that has to be true or false."""
        typed = self._typed(node)
        if typed.kind == "flag":
            return checked(opcodes.EQ_CONSTANT, typed.write, lambda program: program.constant(1.0))
        if typed.kind != "condition":
            raise ConditionFault(
                f"expected a condition, this is {_SAID[typed.kind]}: compare it with a value",
                node.at,
            )
        return typed.write

    def _typed(self, node: Node) -> _Typed:
        if node.op == "literal":
            return _literal(node)
        if node.op == "name":
            return self._column(self._words.find(str(node.value), node.scope, node.at), node.at)
        if node.op in ("and", "or"):
            return self._logic(node)
        if node.op == "not":
            return _Typed("condition", negated(self.condition(node.args[0])), node.at)
        if node.op in COMPARISONS:
            return self._comparison(node)
        if node.op == "missing":
            return self._missing(node)
        if node.op in ("in", "not in", "in list"):
            return self._membership(node)
        return self._arithmetic(node)

    def _column(self, word: Word, at: int) -> _Typed:
        self._note(word, at)
        if word.kind == "text":
            return _Typed("text", lambda program: program.text(word), at, word)
        return _Typed(word.kind, lambda program: program.column(word), at, word)

    def _note(self, word: Word, at: int) -> None:
        if word.source == "payload" and self._words.profile.erasable:
            raise ConditionFault(
                f"{word.name!r} stands only in the payload, which is encrypted in an erasable "
                "profile: make it a feature or an entity",
                at,
            )
        self.read.add(word)

    def _text(self, word: Word, at: int) -> Write:
        """The hashes of a word that is a text, or a category that has undeclared texts."""
        as_text = self._words.text(word.name, at)
        self._note(as_text, at)
        return lambda program: program.text(as_text)

    def _logic(self, node: Node) -> _Typed:
        left, right = (self.condition(arg) for arg in node.args)
        join = both if node.op == "and" else either
        return _Typed("condition", join(left, right), node.at)

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
            return _Typed("condition", compared(node.op, _operand(left), _operand(right)), node.at)
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
            return _Typed("condition", one_of(left.write, list(map(float, members))), node.at)
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
        return _Typed("condition", is_member(self._text(left.word, node.at), members), node.at)

    def _among(self, left: _Typed, texts: Sequence[str], node: Node) -> _Typed:
        """Whether a text or category is one of these."""
        word = left.word
        if word is None or left.kind not in ("text", "category"):
            raise ConditionFault(
                f"a text in quotes is compared with a field, not with {_SAID[left.kind]}", node.at
            )
        if left.kind == "category" and all(text in word.codes for text in texts):
            codes = [float(word.codes.index(text)) for text in texts]
            return _Typed("condition", one_of(left.write, codes), node.at)
        if left.kind == "category" and not word.open:
            wrong = next(text for text in texts if text not in word.codes)
            raise ConditionFault(
                f"{wrong!r} is no value of {word.name}: {', '.join(word.codes)}", node.at
            )
        self.compared.append(Compared(word.name, tuple(texts), node.at))
        hashes = self._text(word, node.at)
        wanted = Membership(word.name, text_hashes(self._words, word.name, texts), [0] * len(texts))
        return _Typed("condition", is_member(hashes, wanted), node.at)

    def _present_but_not(self, left: _Typed, found: _Typed, node: Node) -> _Typed:
        missing = self._is_missing(left, node)
        return _Typed("condition", negated(either(found.write, missing)), node.at)

    def _missing(self, node: Node) -> _Typed:
        return _Typed("condition", self._is_missing(self._typed(node.args[0]), node), node.at)

    def _is_missing(self, operand: _Typed, node: Node) -> Write:
        if operand.kind == "text":
            return of_text(opcodes.NO_HASH, operand.write)
        if operand.kind in (*_NUMERIC, "category"):
            return checked(opcodes.MISSING, operand.write)
        raise ConditionFault(f"{_SAID[operand.kind]} is never missing", node.at)

    def _arithmetic(self, node: Node) -> _Typed:
        typed = [self._typed(arg) for arg in node.args]
        for each in typed:
            if each.kind not in _NUMERIC:
                raise ConditionFault(f"expected a number, this is {_SAID[each.kind]}", each.at)
        if node.op == "negative" and typed[0].constant is not None:
            return _number(-typed[0].constant, node.at)
        write = typed[0].write
        if node.op in _FUNCTIONS:
            return _Typed("number", computed(_FUNCTIONS[node.op], write), node.at)
        for each in typed[1:]:
            write = computed(_ARITHMETIC[node.op], write, each.write)
        return _Typed("number", write, node.at)


def text_hashes(words: Vocabulary, field: str, texts: Sequence[str]) -> NDArray[np.uint64]:
    """The hashes by which frames name these values of a field; of tokens where it keeps such."""
    stored = [words.profile.stored(field, text) for text in texts]
    from model.hashing import hash64  # the pages start without numba

    return hash64([text.encode("utf-8", "surrogatepass") for text in stored])


def _literal(node: Node) -> _Typed:
    value = node.value
    if isinstance(value, str):
        return _Typed("word", lambda _: 0, node.at, literal=value)
    made = _number(float(value), node.at)
    return made._replace(kind="flag") if isinstance(value, bool) else made


def _operand(typed: _Typed) -> Operand:
    return Operand(typed.write, typed.constant)


def _number(value: float, at: int) -> _Typed:
    return _Typed("number", lambda program: program.filled(value), at, constant=value)
