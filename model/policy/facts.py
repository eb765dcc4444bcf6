"""What is known of a batch of transactions when rules look at it, a column at a time."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from operator import attrgetter
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from model.policy.vocabulary import Word

Floats = NDArray[np.float64]
Hashes = NDArray[np.uint64]
Column = Floats | Hashes


class Rows(NamedTuple):
    """n scored transactions, as frames and rows have them.

    `values` f8[n, profile.values], `keys` u8[n, profile.hashed], `scores` f8[n, detectors],
    `decision` u1[n] the model's; `payloads` n texts of JSON.
    """

    values: Floats
    keys: Hashes
    score: Floats
    scores: Floats
    decision: NDArray[np.uint8]
    ingest_us: NDArray[np.int64]
    payloads: Sequence[bytes]


class PayloadReader:
    """Reads some fields of payloads, which is dear: only what a policy names, once a batch."""

    def __init__(self, words: Iterable[Word]) -> None:
        self._words = {word.name: word for word in words}
        fields = [(name, Any, None) for name in self._words]
        self._decode = msgspec.json.Decoder(msgspec.defstruct("Payload", fields)).decode
        self._none = msgspec.defstruct("Nothing", fields)()

    def read(self, payloads: Sequence[bytes]) -> dict[Word, Column]:
        """Each field's column; numbers with NaN and texts with 0 where one is missing."""
        if not self._words:
            return {}
        found = list(map(self._one, payloads))
        return {
            word: _column(word, list(map(attrgetter(name), found)))
            for name, word in self._words.items()
        }

    def _one(self, payload: bytes) -> Any:  # noqa: ANN401 - a struct that is made at run time
        try:
            return self._decode(payload)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return self._none


def _column(word: Word, values: list[Any]) -> Column:
    if word.kind == "text":
        missing = np.array([value is None for value in values], np.bool_)
        texts = ["" if value is None else str(value) for value in values]
        from model.hashing import hash64  # the pages start without numba

        hashes = hash64([text.encode("utf-8", "surrogatepass") for text in texts])
        hashes[missing] = 0
        return hashes
    return np.array(list(map(_number, values)), np.float64)


def _number(value: Any) -> float:  # noqa: ANN401 - an ignored field holds any JSON
    """NaN for what is no number, or too large for one."""
    if not isinstance(value, int | float):
        return math.nan
    try:
        return float(value)
    except OverflowError:
        return math.nan


class Facts:
    """The columns of a batch, each read when a rule first asks for it."""

    def __init__(self, rows: Rows, reader: PayloadReader) -> None:
        self._rows, self._reader = rows, reader
        self._columns: dict[Word, Column] = {}

    def __len__(self) -> int:
        return len(self._rows.score)

    @property
    def values(self) -> Floats:
        """The frames' values f8[n, columns], as compiled loops take them."""
        return np.require(self._rows.values, np.float64, ["C", "A", "W"])

    @property
    def ingest_us(self) -> NDArray[np.int64]:
        """When Kafka recorded each."""
        return self._rows.ingest_us

    def column(self, word: Word) -> Column:
        """f8[n] (NaN: missing), or the hashes u8[n] of texts (0: missing)."""
        column = self._columns.get(word)
        if column is None:
            if word.source == "payload":
                self._columns.update(self._reader.read(self._rows.payloads))
            else:
                self._columns[word] = self._read(word)
            column = self._columns[word]
        return column

    def texts(self, word: Word) -> Hashes:
        """The column of a text."""
        return self.column(word).view(np.uint64)

    def _read(self, word: Word) -> Column:
        rows = self._rows
        if word.source == "values":
            return np.ascontiguousarray(rows.values[:, word.place])
        if word.source == "keys":
            return np.ascontiguousarray(rows.keys[:, word.place])
        if word.source == "scores":
            return np.ascontiguousarray(rows.scores[:, word.place])
        if word.source == "decision":
            return rows.decision.astype(np.float64)
        return np.ascontiguousarray(rows.score)
