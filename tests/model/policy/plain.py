"""Conditions one transaction at a time, in plain Python: what the compiled program has to find."""

from __future__ import annotations

import math
import operator
from collections.abc import Mapping
from typing import NamedTuple

import msgspec

from model.policy.facts import Rows
from model.policy.syntax import COMPARISONS, Node, parse
from model.policy.vocabulary import Vocabulary, Word
from tidegate.messages.frames import DECISIONS

_ORDER = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


class Plain(NamedTuple):
    """Transaction `at` of rows whose payloads hold all fields; `lists` have until when by value."""

    words: Vocabulary
    lists: Mapping[str, Mapping[str, int]]
    rows: Rows
    at: int

    def holds(self, text: str) -> bool:
        return self._truth(parse(text))

    def _truth(self, node: Node) -> bool:
        match node.op:
            case "and":
                return self._truth(node.args[0]) and self._truth(node.args[1])
            case "or":
                return self._truth(node.args[0]) or self._truth(node.args[1])
            case "not":
                return not self._truth(node.args[0])
            case "missing":
                return self._value(node.args[0]) is None
            case "in":
                return self._value(node.args[0]) in [member.value for member in node.members]
            case "not in":
                found, operand = node.args
                return self._value(operand) is not None and not self._truth(found)
            case "in list":
                until = self.lists[str(node.value)].get(str(self._value(node.args[0])), -1)
                return until == 0 or until > self.rows.ingest_us[self.at]
            case op if op in COMPARISONS:
                left, right = (self._value(arg) for arg in node.args)
                return left is not None and right is not None and bool(_ORDER[op](left, right))
            case _:
                return self._value(node) == 1

    def _value(self, node: Node) -> float | str | None:
        """None for what is missing."""
        if node.op == "literal":
            return node.value
        if node.op == "name":
            return self._word(self.words.find(str(node.value), node.scope, node.at))
        found = [self._value(arg) for arg in node.args]
        numbers = [float(one) for one in found if one is not None]
        if len(numbers) < len(found):
            return None
        computed = _computed(node.op, numbers)
        return None if math.isnan(computed) else computed

    def _word(self, word: Word) -> float | str | None:
        if word.source == "decision":
            return DECISIONS[self.rows.decision[self.at]]
        if word.kind in ("text", "category") or word.source == "payload":
            found: float | str | None = msgspec.json.decode(self.rows.payloads[self.at]).get(
                word.name
            )
            return found
        columns = {
            "values": lambda: self.rows.values[self.at, word.place],
            "scores": lambda: self.rows.scores[self.at, word.place],
            "score": lambda: self.rows.score[self.at],
        }
        number = float(columns[word.source]())
        return None if math.isnan(number) else number


def _computed(op: str, numbers: list[float]) -> float:
    first = numbers[0]
    match op:
        case "+":
            return first + numbers[1]
        case "-":
            return first - numbers[1]
        case "*":
            return first * numbers[1]
        case "/":
            return first / numbers[1] if numbers[1] else math.nan
        case "negative":
            return -first
        case "abs":
            return abs(first)
        case "sqrt":
            return math.sqrt(first) if first >= 0 else math.nan
        case "log1p":
            return math.log1p(first) if first > -1 else -math.inf if first == -1 else math.nan
        case "min":
            return min(numbers)
        case _:
            return max(numbers)
