"""All conditions of a policy as one program, which a compiled loop runs over whole batches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from model.policy.facts import Facts, PayloadReader, Rows
from model.policy.lists import Membership
from model.policy.opcodes import FILL, HIT, LOAD, SKIP_IF_NONE
from model.policy.vocabulary import Word
from tidegate.messages.rule_hits import BITS

if TYPE_CHECKING:
    from model.policy.kernel import Tables

Numbers = NDArray[np.float64]
Hashes = NDArray[np.uint64]
Ints = NDArray[np.int64]


class _Registers:
    """Numbers of registers, the lowest that is free first; `most` were in use at once."""

    def __init__(self) -> None:
        self._free: list[int] = []
        self.most = 0

    def take(self) -> int:
        if self._free:
            self._free.sort(reverse=True)
            return self._free.pop()
        self.most += 1
        return self.most - 1

    def give_back(self, register: int) -> None:
        self._free.append(register)


class Builder:
    """Writes a program, operation by operation.

    Who takes a register of numbers or truths gives it back; columns keep theirs.
    """

    def __init__(self) -> None:
        self._code: list[list[int]] = []
        self._constants: dict[bytes, int] = {}
        self._columns: dict[Word, int] = {}
        self._loaded = frozenset[Word]()
        """Columns that are in their registers by now, whatever was passed over."""
        self._others: list[Word] = []
        self._texts: list[Word] = []
        self._sets: list[Numbers] = []
        self._hash_sets: list[tuple[Hashes, Ints]] = []
        self._numbers, self._truths = _Registers(), _Registers()

    def write(self, op: int, out: int = 0, a: int = 0, b: int = 0) -> None:
        """Add an operation of `model.policy.opcodes`."""
        self._code.append([op, out, a, b])

    def number(self) -> int:
        """A free register of numbers."""
        return self._numbers.take()

    def give_back(self, *numbers: int) -> None:
        """Registers of numbers that are not needed any more."""
        for register in numbers:
            if register not in self._columns.values():
                self._numbers.give_back(register)

    def truth(self) -> int:
        """A free register of truths."""
        return self._truths.take()

    def give_back_truth(self, register: int) -> None:
        """A register of truths that is not needed any more."""
        self._truths.give_back(register)

    def column(self, word: Word) -> int:
        """The register in which a word's numbers are from here on."""
        if word not in self._columns:
            self._columns[word] = self.number()
        if word in self._loaded:
            return self._columns[word]
        self._loaded = self._loaded | {word}
        source = word.place
        if word.source != "values":
            source = -1 - _place(self._others, word)
        self.write(LOAD, self._columns[word], source)
        return self._columns[word]

    def filled(self, constant: float) -> int:
        """A register that holds a constant."""
        register = self.number()
        self.write(FILL, register, self.constant(constant))
        return register

    def constant(self, value: float) -> int:
        """The place of a constant."""
        return self._constants.setdefault(np.float64(value).tobytes(), len(self._constants))

    def text(self, word: Word) -> int:
        """The place of a column of hashes."""
        return _place(self._texts, word)

    def numbers(self, members: Sequence[float]) -> int:
        """The place of a set of numbers."""
        self._sets.append(np.unique(np.array(members, np.float64)))
        return len(self._sets) - 1

    def hashes(self, members: Membership) -> int:
        """The place of a set of hashes."""
        self._hash_sets.append((members.hashes, members.until_us))
        return len(self._hash_sets) - 1

    @contextmanager
    def unless_none(self, truth: int) -> Iterator[None]:
        """What is written within is passed over where a register of truths holds for nobody."""
        skip, loaded = [SKIP_IF_NONE, 0, truth, 0], self._loaded
        self._code.append(skip)
        yield
        skip[3], self._loaded = len(self._code), loaded

    def hit(self, truth: int, bit: int) -> None:
        """Note for whom a register of truths holds, which is given back."""
        self.write(HIT, 0, truth, bit)
        self.give_back_truth(truth)

    def program(self) -> Program:
        """What was written."""
        constants = np.frombuffer(b"".join(self._constants), np.float64).copy()
        hashes = [members for members, _ in self._hash_sets]
        until_us = [until for _, until in self._hash_sets]
        tables = (
            constants,
            _begins(self._sets),
            _joined(self._sets, np.float64),
            _begins(hashes),
            _joined(hashes, np.uint64),
            _joined(until_us, np.int64),
        )
        _pass_on(self._code)
        code = np.array(self._code, np.int32).reshape(-1, 4)
        registers = self._numbers.most, self._truths.most
        return Program(code, tables, registers, self._others, self._texts)


class Program:
    """Runs over batches; `others` and `texts` are the words it reads outside of `values`."""

    def __init__(
        self,
        code: NDArray[np.int32],
        tables: Tables,
        registers: tuple[int, int],
        others: Sequence[Word],
        texts: Sequence[Word],
    ) -> None:
        self._code, self._tables, self._registers = code, tables, registers
        self._others, self._texts = others, texts

    def run(self, facts: Facts) -> tuple[NDArray[np.uint8], bool]:
        """The bits u1[n, 16] of what holds for each of n transactions, and whether any is set."""
        from model.policy.kernel import evaluate  # the pages start without numba

        n = len(facts)
        bits = np.zeros((n, BITS // 8), np.uint8)
        others, texts = np.empty((len(self._others), n)), np.empty((len(self._texts), n), np.uint64)
        for row, word in zip(others, self._others, strict=True):
            row[:] = facts.column(word)
        for of_text, word in zip(texts, self._texts, strict=True):
            of_text[:] = facts.texts(word)
        at_us = facts.ingest_us if self._texts else np.zeros(n, np.int64)
        ingest_us = np.require(at_us, np.int64, ["C", "A", "W"])
        columns = facts.values, others, texts, ingest_us
        return bits, evaluate(self._code, self._tables, self._registers, columns, bits)


def warm_up() -> None:
    """Compile the loop before a batch waits for it."""
    one = np.zeros(1)
    nothing = Rows(
        one[None],
        np.zeros((1, 1), np.uint64),
        one,
        one[None],
        np.zeros(1, np.uint8),
        np.zeros(1, np.int64),
        [b"{}"],
    )
    Builder().program().run(Facts(nothing, PayloadReader([])))


def _pass_on(code: list[list[int]]) -> None:
    """Let who skips because nothing holds go on to where something else begins."""
    for skip in reversed(code):
        while skip[0] == SKIP_IF_NONE and skip[3] < len(code):
            following = code[skip[3]]
            if following[2] != skip[2] or following[0] not in (SKIP_IF_NONE, HIT):
                break
            skip[3] = following[3] if following[0] == SKIP_IF_NONE else skip[3] + 1


def _place(words: list[Word], word: Word) -> int:
    if word not in words:
        words.append(word)
    return words.index(word)


def _begins(sets: Sequence[NDArray[Any]]) -> Ints:
    """Where each begins among the members of all, and where the last ends."""
    return np.cumsum([0, *map(len, sets)], dtype=np.int64)


def _joined(sets: Sequence[NDArray[Any]], kind: type) -> NDArray[Any]:
    return np.concatenate([np.zeros(0, kind), *sets], dtype=kind)
