"""Files with verdicts: the id of a transaction, and what became of it."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from dataclasses import dataclass

import msgspec

from model.files.reader import Reader
from model.files.refusals import Refusals, refusal_of
from model.files.rows import UNKNOWN, Refusal, Rows
from tidegate.profile import Field, Profile
from tidegate.profile.decoding import Fault, diagnose, make_struct, value_fault
from tidegate.profile.field_types import String
from tidegate.words import count

_ROW = "row of the file"
"""The field that holds what the reader makes up for an id: here an id must stand in the file."""
_UNREADABLE = Fault("invalid_json", "", "the row cannot be read")


@dataclass
class VerdictFile:
    """Whether each transaction with a verdict is a fraud, by id; of several rows the last counts.

    So many rows are `silent`: nothing is known of their transaction. `digest` is that of the
    content.
    """

    frauds: dict[str, bool]
    refusals: Refusals
    silent: int = 0
    digest: str = ""

    def sentences(self) -> list[str]:
        """For people: what was read and what was left out."""
        read, refused = self.refusals.read, self.refusals.total
        again = read - refused - self.silent - len(self.frauds)
        repeated = f", {again:,} with the id of a later one" if again else ""
        return [
            f"{self.refusals.place}: {count(read, 'row')} read, "
            f"{self.silent:,} without a verdict{repeated}",
            *(f"left out, {sentence}" for sentence in self.refusals.sentences()),
        ]


def read_verdicts(profile: Profile, place: str, label: str = "", form: str = "") -> VerdictFile:
    """The verdicts of a file, which needs no other columns than ids and verdicts.

    Its ids are read and checked as those of transactions are; however many are refused, the other
    verdicts are none the worse. Raises ConfigError for a file that is none of verdicts.
    """
    field: Field = msgspec.structs.replace(profile.fields[profile.id_field], optional=False)
    alone = copy(profile)
    alone.fields, alone.id_field = {field.name: field, _ROW: String(name=_ROW, optional=True)}, _ROW
    reader = Reader(place, alone, label, form)
    found = VerdictFile({}, Refusals(place))
    id_of = _ids(field)
    for rows in reader.rows():
        _take(found, rows, id_of)
    found.digest = reader.digest
    return found


def _take(found: VerdictFile, rows: Rows, id_of: Callable[[int, bytes], str | Refusal]) -> None:
    refused = {refusal.number: refusal for refusal in rows.refused}
    for number, line, label in zip(
        rows.numbers.tolist(), rows.lines, rows.labels.tolist(), strict=True
    ):
        name = refused.get(number) or id_of(number, line)
        if number not in refused and label == UNKNOWN:
            found.silent += 1
        elif isinstance(name, Refusal):
            found.refusals.add(name)
        else:
            found.frauds.pop(name, None)
            found.frauds[name] = label == 1
    found.refusals.count(len(rows.lines))


def _ids(field: Field) -> Callable[[int, bytes], str | Refusal]:
    """Gives a row's id, or what is wrong with it."""
    fields = {field.name: field}
    decode = msgspec.json.Decoder(make_struct("verdict", fields, "", "drop")).decode

    def id_of(number: int, line: bytes) -> str | Refusal:
        try:
            value = getattr(decode(line), field.name)
            fault = value_fault(field, value)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            fault = next(iter(diagnose(line, fields, "", unknown="drop")), _UNREADABLE)
        return refusal_of(fields, number, line, fault) if fault else str(value)

    return id_of
