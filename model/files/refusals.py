"""Rows that cannot be transactions: counted by reason, and the first of each told in words.

No sentence shows a row's value, only its kind: a terminal is no place for a person's data.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from model.files.faults import where
from model.files.rows import Refusal, Rows
from tidegate.errors import ConfigError, Rejected
from tidegate.profile import Field, Profile
from tidegate.profile.decoding import Fault, diagnose
from tidegate.profile.number_types import Money
from tidegate.profile.spec import Json
from tidegate.words import count

if TYPE_CHECKING:
    from model.features.intake import Intake

MOST_REFUSED = 0.05
"""The share of refused rows that is borne where nothing else is said."""
_TOLD = 5
"""So many reasons are told with their first row."""
_LOOK = 100_000
"""After so many rows the share is looked at for the first time, so that a wrong file ends early."""


@dataclass
class Refusals:
    """The refused rows among all that were `read`, while a file is read for a profile.

    `first` holds the first row of each reason.
    """

    place: str
    most: float = 1.0
    """The largest share that is borne."""
    read: int = 0
    by_reason: Counter[str] = field(default_factory=Counter)
    first: dict[str, Refusal] = field(default_factory=dict)

    @property
    def total(self) -> int:
        """How many rows were refused."""
        return self.by_reason.total()

    def sift(self, profile: Profile, rows: Rows, intake: Intake) -> Intake:
        """Count what of `rows` the reader or the profile's decoder refused; gives what is left.

        `intake` is what the decoder said of the rows' lines. Raises ConfigError when too many are
        refused.
        """
        by_reader = {refusal.number: refusal for refusal in rows.refused}
        numbers = rows.numbers.tolist()
        for refusal in rows.refused:
            self.add(refusal)
        for at, error in intake.rejects:
            if numbers[at] not in by_reader:
                self._add_rejected(profile, numbers[at], rows.lines[at], error)
        self.count(len(numbers))
        if not by_reader:
            return intake
        kept = [i for i, at in enumerate(intake.at) if numbers[at] not in by_reader]
        return intake.only(np.array(kept, np.intp))

    def add(self, refusal: Refusal) -> None:
        """Count a refused row."""
        self.by_reason[refusal.reason] += 1
        self.first.setdefault(refusal.reason, refusal)

    def _add_rejected(self, profile: Profile, number: int, line: bytes, error: Rejected) -> None:
        """Count a row that the decoder refused; only the first of a reason is looked at again."""
        if error.reason in self.first:
            self.by_reason[error.reason] += 1
        else:
            self.add(described(profile, number, line, error))

    def count(self, rows: int) -> None:
        """Count rows that were read. Raises ConfigError when too many are refused by then."""
        self.read += rows
        if self.read >= _LOOK:
            self.check()

    def check(self) -> None:
        """Raises ConfigError, with the first row of each reason, when too many were refused."""
        if self.total > self.most * self.read:
            raise ConfigError(
                f"{self.place}: {self.total:,} of {count(self.read, 'row')} are refused, more than "
                f"{100 * self.most:.4g}% of them (--max-refused):\n" + "\n".join(self.sentences())
            )

    def sentences(self) -> list[str]:
        """One for each reason, the most frequent first."""
        told = [self._sentence(reason, times) for reason, times in self.by_reason.most_common()]
        more = [f"and {len(told) - _TOLD} reasons more"] if len(told) > _TOLD else []
        return told[:_TOLD] + more

    def _sentence(self, reason: str, times: int) -> str:
        number, name, _, detail = self.first[reason]
        place = f"row {number:,}" + (f", field {name!r}" if name else "")
        rows = "" if times == 1 else f"{count(times, 'row')}, the first "
        return f"{reason}: {rows}{place}: {detail}"


def described(
    profile: Profile, number: int, line: bytes, error: Rejected, received_us: int = 0
) -> Refusal:
    """A row that the profile's decoder refused, received at `received_us` (0: unknown)."""
    faults = diagnose(
        line, profile.fields, profile.id_field, received_us, unknown=profile.unknown_fields
    )
    fault = next(iter(faults), Fault(error.reason, "", error.detail))
    return refusal_of(profile.fields, number, line, fault._replace(reason=error.reason))


def refusal_of(fields: Mapping[str, Field], number: int, line: bytes, fault: Fault) -> Refusal:
    """What is wrong with a row of this number, of what kind its value is, and what to do."""
    field = fields.get(fault.field)
    value = _value(line, fault.field)
    kind = _kind(value)
    told = fault.message if not kind or "got " in fault.message else f"{kind}; {fault.message}"
    hint = "" if _OPTION in told else f": {_hint(fault.reason, field, value)}"
    place = where(field) if field else ""
    return Refusal(number, fault.field, fault.reason, place + told + hint)


def _value(line: bytes, name: str) -> Json:
    """The value of a field, None where there is none."""
    try:
        document = msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return document.get(name) if isinstance(document, dict) else None


def _kind(value: Json) -> str:
    """Of what kind a value is, without showing it."""
    if value is None or value == "":
        return "" if value is None else "an empty text"
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, int | float):
        return "a negative number" if value < 0 else "a number"
    return f"a text of {count(len(value), 'character')}" if isinstance(value, str) else "a list"


_OPTION = "`"
"""Around what a profile may say: a message that names it says what to do already."""
_HINTS = {
    "missing_field": "fill the cell, or say `optional: true` of the field, unless it is the time, "
    "the amount or the account",
    "unknown_field": "name it in the profile, or say `unknown_fields: drop`",
    "not_finite": "mend the cell, or leave it empty where the field is `optional: true`",
}
_BOUNDS = {
    "string": "mend the cell, or raise the field's `max_length`",
    "category": "name it among the field's `values`, or say `open: true`",
}


def _hint(reason: str, field: Field | None, value: Json) -> str:
    """What to do about a reason, in this field."""
    kind = field.type if field else ""
    if reason == "bad_time":
        return _time_hint(value)
    if reason == "wrong_type" and kind in ("money", "number", "integer") and isinstance(value, str):
        return "mend the cell, or say how the file writes numbers: `decimal_mark`, `thousands`"
    if reason == "out_of_bounds":
        if isinstance(field, Money) and field.currency:
            return "mend the amount or its currency, or widen the field's `min` and `max`"
        return _BOUNDS.get(kind, "mend the cell, or widen the field's `min` and `max`")
    return _HINTS.get(reason, "mend the row")


def _time_hint(value: Json) -> str:
    if isinstance(value, int | float):
        return "say by the field's `unit` what the numbers count, and by `not_before` how old"
    return "write it like 2026-01-31T12:00:00Z, or say by the field's `format` how it is written"
