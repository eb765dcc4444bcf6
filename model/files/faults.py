"""What is wrong with a cell that could not be read, in words that do not show it."""

from __future__ import annotations

import re

from model.files.cells import Read
from model.files.cells_booleans import NO, YES
from model.files.rows import Refusal
from tidegate.profile import Field
from tidegate.profile.file_options import column_names
from tidegate.words import count

_DATE = re.compile(r"\s*\d{1,4}([-/.])\d{1,2}\1\d{1,4}.*", re.DOTALL)
_DIGITS = re.compile(r"[\d.,'\u2019\s\u00a0\u202f]*\d[\d.,'\u2019\s\u00a0\u202f]*")
_EXPONENT = re.compile(r"[+-]?\d+(?:\.\d*)?[eE][+-]?\d+")
_ANSWERS = frozenset(YES + NO)
_REASONS = {"time": "bad_time"}


def refusals(
    field: Field, read: Read, numbers: list[int], cells: list[str | None]
) -> list[Refusal]:
    """One for each bad cell: `numbers` are the rows', `cells` what stands there."""
    reason = _REASONS.get(field.cells, "wrong_type")
    return [
        Refusal(number, field.name, reason, f"{where(field)}expected {read.why}; got {kind(cell)}")
        for number, cell in zip(numbers, cells, strict=True)
    ]


def kind(cell: str | None) -> str:
    """What a cell looks like."""
    if not cell:
        return "nothing that can be shown"
    if found := _DATE.fullmatch(cell):
        return f"what looks like a date with {found[1]!r}"
    if _DIGITS.fullmatch(cell):
        signs = sorted(set(re.sub(r"\d", "", cell)))
        return f"digits with {' and '.join(map(repr, signs))}" if signs else "digits"
    if cell.strip().casefold() in _ANSWERS:
        return "a word for yes or no, which a field of the type `bool` takes"
    if _EXPONENT.fullmatch(cell):
        return "a number with an exponent"
    return f"a text of {count(len(cell), 'character')}"


def where(field: Field) -> str:
    """The columns of a file where a field stands that has other names than they."""
    names = column_names(field)
    if names == (field.name,):
        return ""
    return f"in {' and '.join(f'column {name!r}' for name in names)} "
