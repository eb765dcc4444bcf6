"""Options that say how one file is written, beside what the profile says of its files."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Annotated, NamedTuple, get_type_hints

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
    typer.Option(
        "--format",
        help="csv, parquet, jsonl or xlsx, where the name does not say it; or what banks write: "
        "camt.052, camt.053, camt.054, mt940, ofx, iso8583, pacs.008.",
    ),
]
ColumnOption = Annotated[
    list[str] | None,
    typer.Option(
        "--column",
        metavar="FIELD=NAME",
        help="The file's column for a field; given twice for one field: of both columns.",
    ),
]


class Written(NamedTuple):
    """How one file is written, as these options say it."""

    separator: SeparatorOption = ""
    encoding: EncodingOption = ""
    zone: ZoneOption = ""
    decimal_mark: DecimalMarkOption = ""
    form: FormatOption = ""
    column: ColumnOption = None

    def check_file(self, option: str) -> None:
        """For a command that was given no file by `option`. Raises ConfigError."""
        if self != AS_FOUND:
            raise ConfigError(
                "--separator, --encoding, --zone, --decimal-mark, --format and --column are of a "
                f"file: name it by {option}"
            )

    def spec(self, usual: FileSpec) -> FileSpec:
        """What is said of files as a whole; the `usual` where no option is given.

        Raises ConfigError naming the option that makes no sense.
        """
        asked = {
            "separator": self.separator,
            "encoding": self.encoding,
            "zone": self.zone,
            "decimal_mark": self.decimal_mark,
        }
        return _file(usual, {name: value for name, value in asked.items() if value})

    def of(self, profile: Profile) -> Profile:
        """The profile for a file that is written so; its hashes stay. Raises ConfigError."""
        changed = copy.copy(profile)
        changed.file = self.spec(profile.file)
        changed.fields = {**profile.fields, **_columns(profile, self.column or [])}
        return changed


AS_FOUND = Written()
"""A file of which no option says anything."""


def with_file_options(command: Callable[..., None]) -> Callable[..., None]:
    """Gives a command these options, in place of its argument `written`, which holds them."""
    options = get_type_hints(Written, include_extras=True)
    hints = get_type_hints(command, include_extras=True)
    parameters: list[inspect.Parameter] = []
    for parameter in inspect.signature(command).parameters.values():
        if parameter.name != "written":
            parameters.append(parameter.replace(annotation=hints[parameter.name]))
            continue
        parameters += [
            inspect.Parameter(name, parameter.kind, default=default, annotation=options[name])
            for name, default in Written._field_defaults.items()
        ]

    @wraps(command)
    def with_options(**given: object) -> None:
        usual = Written._field_defaults
        written = Written._make([given.pop(name, usual[name]) for name in Written._fields])
        command(**given, written=written)

    with_options.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    with_options.__annotations__ = {one.name: one.annotation for one in parameters}
    return with_options


def _file(usual: FileSpec, asked: dict[str, str]) -> FileSpec:
    import msgspec

    from tidegate.profile.file_spec import FileSpec
    from tidegate.words import plain

    try:
        spec = msgspec.convert({**msgspec.to_builtins(usual), **asked}, FileSpec)
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
