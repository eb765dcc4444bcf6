"""JSON lines as lines of JSON: values stay as they are, unless the profile says more of a field."""

from __future__ import annotations

import msgspec
import pyarrow as pa

from model.files.cells import Read
from model.files.fields import Writing, currencies_first
from model.files.json_lines import Object, converted, parse, read_json, take_out, text_of
from model.files.labels import Verdicts
from model.files.rows import REFUSAL_COLUMNS
from model.files.shaped import Shaped, faults
from model.files.table_file import Table
from tidegate.profile import Profile
from tidegate.profile.file_options import column_names

_encode = msgspec.json.Encoder().encode


class JsonShaping:
    """Shapes the tables of JSON lines."""

    def __init__(self, profile: Profile, writing: Writing, verdicts: Verdicts) -> None:
        self._profile, self._writing, self._verdicts = profile, writing, verdicts
        self._read = [field for field in currencies_first(profile.fields) if converted(field)]
        self._names = {
            column_names(field)[0]: field.name
            for field in profile.fields.values()
            if not converted(field) or column_names(field) == (field.name,)
        }
        """The fields whose values stay under their own name, or come to be under it as they are."""
        self._used = {name for field in profile.fields.values() for name in column_names(field)}
        paths = {name for name in {*self._used, verdicts.column or ""} if "." in name}
        self._paths = sorted(paths)
        """Names such as `customer.id`, of members of objects."""
        self._parents = {path.partition(".")[0] for path in paths}
        self.made_of: dict[str, tuple[str, ...]] = {}
        """Lines have no columns."""
        self.unknown: list[str] = []
        """Names that no field has, so far."""

    def shape(self, table: Table) -> Shaped:
        """The rows of a table. Raises ConfigError for a word that is no verdict."""
        lines, numbers = table.batch.column(0).to_pylist(), table.numbers.tolist()
        rows, none = parse(lines, numbers)
        for path in self._paths:
            take_out(rows, path)
        reads = self._reads(rows)
        objects, changed = self._named(rows)
        for name, read in reads.items():
            changed |= _put(objects, name, read)
        ids = [text_of(row.get(self._profile.id_field)) for row in objects]
        for place in (place for place, name in enumerate(ids) if name == ""):
            del objects[place][self._profile.id_field]
            changed.add(place)
        for place in changed.difference(none):
            lines[place] = _encode(objects[place]).decode()
        return Shaped(
            [name or "" for name in ids],
            list(map(str.encode, lines)),
            self._verdicts.of(lambda name: _column(rows, name), table),
            table.batch,
            sorted([*faults(self._profile, reads, table.numbers), *none.values()]),
            sum(read.twice for read in reads.values()),
        )

    def _reads(self, rows: list[Object]) -> dict[str, Read]:
        """The fields of which the profile says more."""
        reads: dict[str, Read] = {}
        for field in self._read:
            currency = reads.get(getattr(field, "currency", ""))
            reads[field.name] = read_json(field, rows, self._writing, currency and currency.cells)
        return reads

    def _named(self, rows: list[Object]) -> tuple[list[Object], set[int]]:
        """The rows by the fields' names, and the places of those that are others now."""
        names = self._names_in(rows)
        if set().union(*rows) <= {name for name, field in names.items() if name == field}:
            return rows, set()
        renamed = [{names[name]: raw for name, raw in row.items() if name in names} for row in rows]
        return renamed, set(range(len(rows)))

    def _names_in(self, rows: list[Object]) -> dict[str, str]:
        """What becomes of each name in these rows that is left in; notes those of no field."""
        further = set().union(*rows) - self._used - self._parents - {*REFUSAL_COLUMNS}
        for name in sorted(further.difference(self.unknown)):
            if not self._verdicts.may_stand_in(name):
                self.unknown.append(name)
        if self._profile.unknown_fields != "keep":
            return self._names
        kept = further.intersection(self.unknown).difference(self._profile.fields)
        return self._names | {name: name for name in kept}


def _put(objects: list[Object], name: str, read: Read) -> set[int]:
    """Put a field into its rows; gives the places of those that are others now."""
    changed = set()
    for place, (row, text) in enumerate(zip(objects, read.json.to_pylist(), strict=True)):
        if text is not None and (name not in row or bytes(row[name]) != text.encode()):
            row[name] = msgspec.Raw(text.encode())
            changed.add(place)
    return changed


def _column(rows: list[Object], name: str) -> pa.Array:
    """A name's values as texts."""
    return pa.array([text_of(row.get(name)) for row in rows], pa.string())
