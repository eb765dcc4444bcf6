"""Options that say how one file is written, beside what the profile says of its files."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Annotated

import typer

from tidegate.errors import ConfigError

if TYPE_CHECKING:
    from tidegate.profile import Field, Profile
    from tidegate.profile.file_spec import FileSpec

SeparatorOption = Annotated[
    str, typer.Option("--separator", help="Of the file's cells, such as ';' or tab.")
]
EncodingOption = Annotated[
    str, typer.Option("--encoding", help="Of the file's text, such as windows-1252.")
]
ZoneOption = Annotated[
    str,
    typer.Option("--zone", help="Of the file's times that name none, such as Europe/Berlin."),
]
DecimalMarkOption = Annotated[
    str, typer.Option("--decimal-mark", help="Of the file's numbers: ',' or '.'.")
]
FormatOption = Annotated[
    str,
    typer.Option("--format", help="csv, parquet, jsonl or xlsx, where the name does not say it."),
]
ColumnOption = Annotated[
    list[str] | None,
    typer.Option(
        "--column",
        metavar="FIELD=NAME",
        help="The file's column for a field; given twice for one field: of both columns.",
    ),
]


def as_written(
    profile: Profile,
    *,
    separator: str = "",
    encoding: str = "",
    zone: str = "",
    decimal_mark: str = "",
    columns: list[str] | None = None,
) -> Profile:
    """The profile for files that are written as the options say; its hashes stay.

    Raises ConfigError naming the option that makes no sense.
    """
    asked = {
        "separator": separator,
        "encoding": encoding,
        "zone": zone,
        "decimal_mark": decimal_mark,
    }
    changed = copy.copy(profile)
    changed.file = _file(profile, {name: value for name, value in asked.items() if value})
    changed.fields = {**profile.fields, **_columns(profile, columns or [])}
    return changed


def _file(profile: Profile, asked: dict[str, str]) -> FileSpec:
    import msgspec

    from tidegate.profile.file_spec import FileSpec
    from tidegate.words import plain

    try:
        spec = msgspec.convert({**msgspec.to_builtins(profile.file), **asked}, FileSpec)
    except msgspec.ValidationError as error:
        raise ConfigError(_of_option(plain(str(error)))) from error
    if problem := spec.problem():
        raise ConfigError(_of_option(problem))
    return spec


def _of_option(problem: str) -> str:
    """What is wrong with a part of the section `file:`, as said of the option of that name."""
    name, sign, rest = problem.partition(":")
    return f"--{name.replace('_', '-')}{sign}{rest}"


def _columns(profile: Profile, columns: list[str]) -> dict[str, Field]:
    """The fields that are to be found in other columns."""
    found: dict[str, list[str]] = {}
    for text in columns:
        field, sign, name = text.partition("=")
        if not (sign and name) or field not in profile.fields:
            raise ConfigError(
                f"--column {text}: expected FIELD=NAME with a field of profile {profile.name}, "
                f"one of {', '.join(profile.fields)}"
            )
        found.setdefault(field, []).append(name)
    return {name: _in_columns(profile.fields[name], names) for name, names in found.items()}


def _in_columns(field: Field, names: list[str]) -> Field:
    """The field, to be found in these columns."""
    from msgspec.structs import replace

    from tidegate.profile.file_options import fault

    changed = replace(field, column=names if len(names) > 1 else names[0])
    if problem := fault(changed):
        raise ConfigError(f"--column {field.name}: {problem.removeprefix('column: ')}")
    return changed
