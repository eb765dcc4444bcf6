"""What becomes of each column: a field of a type, with its options, or a field that is ignored."""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from model.drafting.amount import marks, money_options
from model.drafting.choice import Choice, share
from model.drafting.evidence import FEW_ROWS, Column
from model.drafting.words import (
    ACCOUNT,
    AFTER,
    CODE,
    FREE_TEXT,
    LEAK,
    NO_ACCOUNT,
    NO_TIME,
    PERSONAL,
    REFERENCE,
    TIME,
    folded,
    says,
    score,
)
from tidegate.profile.spec import Json

_REASONS = (
    (LEAK, "says what the verdict says, or what an older system decided: no input"),
    (AFTER, "unsure: known only after the transaction? then it gives the answer away"),
    (PERSONAL, "personal data, kept out of the models"),
    (FREE_TEXT, "free text, no input"),
)
_MOST_VALUES = 50
"""Values of a category that are named; others count as one more."""
_DIGITS = 8
"""Digits of numbers of accounts, cards and telephones, and of no postcode."""
_FEW = 20
"""Different values that hardly name people."""
_CONSTANT = 100
"""Rows from which on one value alone says that a column holds nothing else."""


@dataclass(frozen=True)
class FieldDraft:
    """One field of the profile: `options` in the order in which they are written, `remark` behind
    them, `columns` the file's columns that fill it.
    """

    name: str
    columns: tuple[str, ...]
    type: str
    options: dict[str, Json] = field(default_factory=dict)
    remark: str = ""

    @property
    def ignored(self) -> bool:
        return bool(self.options.get("ignored"))


class Names:
    """Names of fields for the names of columns, each given once."""

    def __init__(self, taken: Iterable[str] = ()) -> None:
        self._taken = {name.lower() for name in taken}

    def give(self, text: str, otherwise: str) -> str:
        """The text as it stands if it can be a field's name, else something close to it."""
        name = text if text.isascii() and text.isidentifier() else folded(text).replace(" ", "_")
        if text and not text.isascii():
            name = folded(text).replace(" ", "_")
        if not name or not name.isidentifier():
            name = f"{otherwise}_{name}" if name else otherwise
        if keyword.iskeyword(name) or name.startswith("_"):
            name = f"{name.strip('_')}_field"
        free, number = name, 2
        while free.lower() in self._taken:
            free, number = f"{name}_{number}", number + 1
        self._taken.add(free.lower())
        return free


def filled_by(name: str, columns: tuple[str, ...]) -> dict[str, Json]:
    """The option `column`, where the field is not named like its one column."""
    if columns == (name,):
        return {}
    return {"column": columns[0] if len(columns) == 1 else list(columns)}


def label_field(name: str, column: Column, choice: Choice) -> FieldDraft:
    """The verdicts as a field that the stream takes and no model sees."""
    numbers = column.numbers
    if column.typed == "bool":
        kind, options = "bool", {}
    elif numbers is not None and numbers.whole and not marks(numbers):
        low, high = min(0, int(numbers.low)), max(1, int(numbers.high))
        kind, options = "integer", {"min": low, "max": high}
    else:
        kind, options = "string", {}
    quiet = {"optional": True, "ignored": True}
    return FieldDraft(
        name, choice.columns, kind, filled_by(name, choice.columns) | options | quiet, "the verdict"
    )


def other_field(name: str, column: Column, file_marks: dict[str, str]) -> FieldDraft:
    """A column that has no role."""
    reason = _no_input(column)
    if reason:
        kind, remark = _as_it_stands(column), reason
        options: dict[str, Json] = {}
    else:
        kind, options, remark = _kind(column, file_marks)
    if kind == "string" and column.longest > 128:
        options["max_length"] = 4096
    if column.blanks or column.rows < FEW_ROWS or reason:
        options["optional"] = True
    if reason:
        options["ignored"] = True
    return FieldDraft(name, (column.name,), kind, filled_by(name, (column.name,)) | options, remark)


def _as_it_stands(column: Column) -> str:
    """The type of a field that no model sees: none of its values are named."""
    if column.typed == "bool":
        return "bool"
    plain = column.numbers is not None and not _is_code(column) and not column.odd
    return "number" if column.typed == "number" or plain else "string"


def _no_input(column: Column) -> str:
    """Why the models should not see a column; "" where they should."""
    key = column.key
    if not key or says(key, r"^(unnamed( \d+)?|index|row( number| id)?|column \d+)$"):
        return "a row number, no signal"
    for pattern, reason in _REASONS:
        if says(key, pattern):
            return reason
    if column.times or column.clock or column.typed == "time" or _counts_time(column):
        return "another time, no input"
    if column.sentences:
        return "free text, no input"
    if not column.filled:
        return "always blank in the rows that were looked at"
    if column.distinct == 1 and column.rows >= _CONSTANT and not column.blanks:
        return "one value in all rows that were looked at"
    return ""


def _counts_time(column: Column) -> bool:
    """Whether it is one more count of seconds or days from somewhere."""
    whole = column.numbers is not None and column.numbers.whole and column.numbers.low >= 0
    return whole and score(column.key, TIME, NO_TIME) >= 7


def _kind(column: Column, file_marks: dict[str, str]) -> tuple[str, dict[str, Json], str]:
    """Type, options and remark by what the cells hold."""
    form = column.numbers
    if column.yes_no:
        return "bool", {}, ""
    if form is not None and not _is_code(column):
        if form.units:
            return "money", {**_differing(marks(form), file_marks), **money_options(form)}, ""
        odd = "unsure: some cells are no numbers" if column.odd else ""
        return "number", _differing(marks(form), file_marks), odd
    if _is_category(column) and not _names_someone(column):
        return "category", {"open": True, "values": _values(column)}, _rest(column)
    return "string", {}, ""


def _differing(own: dict[str, str], file_marks: dict[str, str]) -> dict[str, Json]:
    return {key: mark for key, mark in own.items() if file_marks.get(key) != mark}


def _is_code(column: Column) -> bool:
    """Whether whole numbers name something: leading zeros, many digits, or a name that says so."""
    form = column.numbers
    if form is None or not form.whole or form.exponents or column.typed == "number":
        return form is not None and form.whole and says(column.key, r"\bmcc\b")
    return form.padded or form.high >= 1e12 or says(column.key, CODE)


def _is_category(column: Column) -> bool:
    if column.longest > 64 or not column.filled:
        return False
    if column.rows < FEW_ROWS:
        return not (column.unique and re.search(r"\d{4}", column.words[0]) is not None)
    return column.distinct <= 1000 and column.filled >= 10 * column.distinct


def _names_someone(column: Column) -> bool:
    """Whether its values, which a profile would list, name people, cards or devices."""
    if 0 < column.distinct <= _FEW and column.rows >= FEW_ROWS:
        return False
    long = sum(len(re.findall(r"\d", word)) >= _DIGITS for word in column.words[:100])
    return (
        long > len(column.words[:100]) / 2
        or says(column.key, REFERENCE)
        or score(column.key, ACCOUNT, NO_ACCOUNT) >= 7
    )


def _values(column: Column) -> list[str]:
    return column.words[:_MOST_VALUES]


def _rest(column: Column) -> str:
    if column.distinct <= _MOST_VALUES:
        return ""
    counted = sum(count for _, count in column.values[:_MOST_VALUES])
    return (
        f"the {_MOST_VALUES} most frequent of {column.distinct:,}, "
        f"{share(counted, column.filled)} of the rows"
    )


def identifier(text: str) -> str:
    """A short name for columns by an entity: `CUSTOMER_ID` gives `customer`."""
    words = [word for word in folded(text).split() if word not in ("id", "num", "no", "number")]
    return re.sub(r"\W", "_", "_".join(words)) or "entity"
