"""A column of verdicts by the profile's words."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as types
from numpy.typing import NDArray

from model.files.cells import mask
from model.files.cells_booleans import NO, YES, keys
from model.files.cells_texts import plain, texts
from model.files.faults import kind
from model.files.mapping import nearest
from model.files.rows import UNKNOWN
from model.files.table_file import Table
from tidegate.errors import ConfigError
from tidegate.profile import History
from tidegate.profile.file_options import word_keys
from tidegate.profile.spec import Words

_DEFAULT = "label"
"""The column with the verdicts where neither command nor profile names one."""
_WHOLE = r"^(-?[0-9]+)\.0+$"
"""A whole number as floating point writes it."""
_LABELS = frozenset({_DEFAULT, "is_fraud", "fraud"})
"""Names of columns with verdicts, which are no columns that the profile has forgotten."""


class Verdicts:
    """The column with the verdicts: "" stands for the profile's, None for none.

    Unless it is `needed`, a file may lack it where neither command nor profile names it.
    """

    def __init__(
        self, history: History, label: str | None, place: str, *, needed: bool = True
    ) -> None:
        self._history = history
        self._may_lack = not (needed or label or history.label)
        self.column = None if label is None else label or history.label or _DEFAULT
        self._place = place

    def check(self, names: Sequence[str]) -> None:
        """Raises ConfigError when a file has not the column that is wanted."""
        wanted = self.column
        if self._may_lack and wanted not in names:
            self.column = None
        elif wanted is not None and wanted not in names:
            raise ConfigError(
                f"{self._place} has no column {wanted!r}{nearest(wanted, names)}; its columns are "
                f"{', '.join(names)}: name the one with the verdicts by --label, or by "
                "history.label of the profile"
            )

    def may_stand_in(self, name: str) -> bool:
        """Whether a column is one for verdicts, be they wanted or not."""
        return name in {*_LABELS, self.column, self._history.label}

    def of(self, column: Callable[[str], pa.Array], table: Table) -> NDArray[np.int8]:
        """The verdicts of a table's rows by its `column`. Raises ConfigError."""
        if self.column is None:
            return np.full(len(table.numbers), UNKNOWN, np.int8)
        where = f"{self._place}: column {self.column!r}"
        return read_labels(column(self.column), self._history, where, table.numbers)


def read_labels(
    column: pa.Array, history: History, where: str, numbers: NDArray[np.int64]
) -> NDArray[np.int8]:
    """Verdicts i1[n]: 1 fraud, 0 legitimate, `UNKNOWN` where the cell is empty or says so.

    Raises ConfigError at the first other word, by its row's number.
    """
    words, places = _words(plain(column))
    fraud, legitimate, none = meanings(history)
    known = mask(pc.is_null(words))
    labels = np.full(len(words), UNKNOWN, np.int8)
    labels[known] = 0 if "" in legitimate else 1 if "" in fraud else UNKNOWN
    for verdict, some in ((0, legitimate), (1, fraud), (UNKNOWN, none)):
        found = _among(words, some)
        labels[found] = verdict
        known |= found
    if not known.all():
        first = int(np.argmin(known[places]))
        got = kind(words[int(places[first])].as_py())
        raise ConfigError(
            f"{where}, row {numbers[first]}: expected {_listed(fraud)} for fraud, "
            f"{_listed(legitimate)} for legitimate, or nothing; got {got}: say under history of "
            "the profile what the column holds for `fraud`, `legitimate` and `unknown`"
        )
    return labels[places]


def meanings(history: History) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    """The words for fraud, legitimate and unknown; where none are named, those for yes and no."""
    fraud, legitimate = keys_of(history.fraud), keys_of(history.legitimate)
    if (fraud, legitimate) == (("1",), ("0",)):
        fraud, legitimate = YES, NO
    return fraud, legitimate, keys_of(history.unknown)


def keys_of(words: Words) -> tuple[str, ...]:
    """The words of an option in the form in which they are compared: 1.0 is the word 1."""
    listed = words if isinstance(words, list) else [words]
    return tuple(re.sub(_WHOLE, r"\1", key) for word in listed for key in word_keys(word))


def _words(column: pa.Array) -> tuple[pa.Array, NDArray[np.int32]]:
    """The different words of a column, and the place of each cell's among them, i4[n].

    1.0, which is a 1 beside an empty cell, is the word 1; an empty cell is the null among them.
    """
    if types.is_floating(column.type):
        column = pc.if_else(pc.is_nan(column), pa.scalar(None, column.type), column)
    coded = pc.dictionary_encode(texts(column), null_encoding="encode")
    words = pc.replace_substring_regex(keys(coded.dictionary), _WHOLE, r"\1")
    return words, coded.indices.to_numpy()


def _among(words: pa.Array, some: tuple[str, ...]) -> NDArray[np.bool_]:
    return mask(pc.is_in(words, pa.array(some, pa.string())))


def _listed(words: tuple[str, ...]) -> str:
    return " or ".join(words)
