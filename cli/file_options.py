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
    from zoneinfo import ZoneInfo

    import msgspec

    from tidegate.profile.file_spec import FileSpec
    from tidegate.words import plain

    try:
        if zone := asked.get("zone"):
            ZoneInfo(zone)
        document = {**msgspec.to_builtins(profile.file), **asked}
        spec = msgspec.convert(document, FileSpec)
    except msgspec.ValidationError as error:
        raise ConfigError(f"--{plain(str(error)).replace('_', '-')}") from error
    except (KeyError, ValueError, OSError) as error:
        raise ConfigError(
            f"--zone {asked['zone']}: expected a name of the IANA database, such as Europe/Berlin"
        ) from error
    if problem := spec.problem():
        raise ConfigError(f"--{problem}")
    return spec


def _columns(profile: Profile, columns: list[str]) -> dict[str, Field]:
    """The fields that are to be found in other columns."""
    from msgspec.structs import replace

    found: dict[str, list[str]] = {}
    for text in columns:
        field, sign, name = text.partition("=")
        if not (sign and name) or field not in profile.fields:
            raise ConfigError(
                f"--column {text}: expected FIELD=NAME with a field of profile {profile.name}, "
                f"one of {', '.join(profile.fields)}"
            )
        found.setdefault(field, []).append(name)
    return {
        field: replace(profile.fields[field], column=names if len(names) > 1 else names[0])
        for field, names in found.items()
    }
