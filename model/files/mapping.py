"""Which columns of a file make which field of the profile."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from model.files.rows import REFUSAL_COLUMNS
from tidegate.errors import ConfigError
from tidegate.profile import Field, Profile
from tidegate.profile.file_options import column_names


class Columns(NamedTuple):
    """The columns that make each field that the file has, and those that no field is made of."""

    of: dict[str, tuple[str, ...]]
    further: tuple[str, ...]


def columns_of(
    profile: Profile, names: Sequence[str], place: str, doubled: Mapping[str, Sequence[str]]
) -> Columns:
    """Raises ConfigError for a required field without its columns, and for a name used twice."""
    of = {}
    for field in profile.fields.values():
        wanted = wide(field, names) or column_names(field)
        missing = [name for name in wanted if name not in names]
        if not missing:
            of[field.name] = wanted
        elif len(missing) < len(wanted) or _required(profile, field):
            raise ConfigError(_missing(profile, field, missing, names, place))
    used = {name for columns in of.values() for name in columns}
    meant = {name for name in of if profile.fields[name].column is None}
    for name in sorted(meant & doubled.keys()):
        raise ConfigError(
            f"{place}: the column {name!r} is there {len(doubled[name])} times: say by `column:` "
            f"of the field which one is meant, of {', '.join(map(repr, doubled[name]))}"
        )
    return Columns(of, tuple(name for name in names if name not in used | {*REFUSAL_COLUMNS}))


def wide(field: Field, names: Sequence[str]) -> tuple[str, ...]:
    """The columns NAME_0, NAME_1, ... of a field that is a list; () where there are none."""
    if not field.is_list or len(column_names(field)) > 1:
        return ()
    name = column_names(field)[0]
    found = {
        int(match[1]): column
        for column in names
        if (match := re.fullmatch(rf"{re.escape(name)}_(\d{{1,4}})", column))
    }
    if name in names or sorted(found) != list(range(len(found))):
        return ()
    return tuple(found[number] for number in sorted(found))


def nearest(name: str, names: Sequence[str]) -> str:
    """The name that is most like another, as a question; "" where none is like it."""
    lower = {other.casefold(): other for other in reversed(names)}
    close = difflib.get_close_matches(name.casefold(), list(lower), 1)
    return f": did you mean {lower[close[0]]!r}?" if close else ""


def _required(profile: Profile, field: Field) -> bool:
    return not field.optional and field.name != profile.id_field


def _missing(
    profile: Profile, field: Field, missing: Sequence[str], names: Sequence[str], place: str
) -> str:
    what = "the column" if len(missing) == 1 else "the columns"
    listed = ", ".join(map(repr, missing))
    return (
        f"{place}: field {field.name} of profile {profile.name!r} needs {what} {listed}"
        f"{nearest(missing[0], names)}; the file has {', '.join(names)}. Say by `column:` of the "
        "field where it stands"
    )
