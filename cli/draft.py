"""`tidegate profile draft`: a profile from a file."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.file_options import EncodingOption
from cli.options import command_name, say
from tidegate.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable

    from model.drafting.draft import Draft
    from model.drafting.sample import Sample

Place = Annotated[
    str,
    typer.Argument(
        metavar="FILE",
        help="CSV, Parquet, JSON lines or xlsx, a folder or a glob of them, a URL, or -.",
    ),
]
Out = Annotated[
    Path | None,
    typer.Option(
        "--out", metavar="FILE.yaml", help="The profile to write; by default named like the file."
    ),
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Ask nothing; doubts become comments.")]
Format = Annotated[
    str, typer.Option("--format", help="What the file is, where its name does not say it.")
]
Separator = Annotated[str, typer.Option("--separator", help="Between the cells of a CSV.")]
Label = Annotated[
    str, typer.Option("--label", help="The column with the verdicts, if a draft finds another.")
]

_QUESTIONS = {
    "label": "Which column holds the verdicts? - for none",
    "time": "Which column says when the transaction was? - for none",
    "unit": "What do its numbers count (s, min, hours, days)?",
    "money": "Which column holds the amount? - for none",
    "account": "Which column names the account (card, customer; two by +)? - for none",
    "second": "Which column names whom it deals with (merchant, payee)? - for none",
}


def draft(
    file: Place,
    out: Out = None,
    yes: Yes = False,
    form: Format = "",
    separator: Separator = "",
    encoding: EncodingOption = "",
    label: Label = "",
) -> None:
    """Draft a profile from a file: its columns, types and verdicts, and features for them.

    Each choice is printed with its evidence. What is unsure is asked for on a terminal, and
    becomes a comment in the profile. The file is read, never changed.

    Example: [bold]tidegate profile draft payments.csv --out payments.yaml[/bold]
    """
    from model.drafting.writing import report, written

    target = _target(file, out)
    sample = _sample(file, form, separator, encoding)
    told = {"label": label} if label else {}
    if label and label not in sample.columns:
        raise ConfigError(f"--label {label}: the file has {', '.join(sample.columns)}")
    found = _drafted(sample, told, ask=not yes and sys.stdin.isatty())
    _write(target, written(found, _history(file, target)))
    for line in report(found):
        typer.echo(line)
    _next(target, file, verdicts=bool(found.choices["label"]))


def _target(file: str, out: Path | None) -> Path:
    """Where the profile goes. Raises ConfigError where something stands already."""
    target = out or Path(f"{_stem(file)}.yaml")
    if target.suffix not in (".yaml", ".yml"):
        raise ConfigError(f"--out {target}: a name that ends with .yaml is expected")
    if target.exists():
        raise ConfigError(f"{target} is there already: name another file by --out, or remove it")
    return target


def _stem(file: str) -> str:
    """The profile's name: the file's, in small letters and without signs."""
    from model.drafting.words import folded

    last = file.rstrip("/").rpartition("/")[2].partition(".")[0]
    return folded(last).replace(" ", "_") or "payments"


def _sample(file: str, form: str, separator: str, encoding: str) -> Sample:
    from rich.console import Console

    from model.drafting.reading import read_sample
    from tidegate.profile.file_spec import FileSpec

    spec = FileSpec(separator=separator or None, encoding=encoding or None)
    if problem := spec.problem():
        raise ConfigError(f"--{problem}")
    with Console(stderr=True).status("reading") as status:
        sample, told = read_sample(
            file, spec, form, lambda rows: status.update(f"{rows:,} rows read")
        )
    for sentence in told:
        say(sentence)
    return sample


def _drafted(sample: Sample, told: dict[str, str], *, ask: bool) -> Draft:
    """The draft; where `ask`, after a question for each choice that is unsure."""
    from model.drafting.draft import draft as draft_of

    found = draft_of(sample, told)
    if not ask:
        return found
    for role, question in _QUESTIONS.items():
        if role not in told and _asks(found, role):
            told[role] = _answer(question, _default(found, role), _allowed(sample, role))
            found = draft_of(sample, told)
    return found


def _asks(found: Draft, role: str) -> bool:
    if role == "unit":
        return "since" in found.choices["time"].options
    choice = found.choices[role]
    return bool(choice.others) or (not choice and role != "second")


def _default(found: Draft, role: str) -> str:
    if role == "unit":
        return str(found.choices["time"].options["unit"])
    return "+".join(found.choices[role].columns)


def _allowed(sample: Sample, role: str) -> Callable[[str], bool]:
    if role == "unit":
        return lambda answer: answer in ("s", "min", "hours", "days")
    return lambda answer: all(part in sample.columns for part in answer.split("+") if part)


def _answer(question: str, default: str, allowed: Callable[[str], bool]) -> str:
    """What a person says; - for none."""
    while True:
        answer: str = typer.prompt(question, default=default or "-").strip()
        if answer == "-":
            return ""
        if allowed(answer):
            return answer
        say(f"{answer!r} will not do here")


def _history(file: str, target: Path) -> str:
    """The file as the profile names it: from the folder of the profile."""
    if file == "-" or "://" in file:
        return file
    return os.path.relpath(file, target.parent) if not Path(file).is_absolute() else file


def _write(target: Path, text: str) -> None:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("x", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise ConfigError(f"--out {target}: cannot be written: {error.strerror}") from error


def _next(target: Path, file: str, *, verdicts: bool) -> None:
    typer.echo(f"{target} is written; look at its comments, then")
    typer.echo(f"  {command_name()} profile check {target}")
    if verdicts:
        typer.echo(f"  {command_name()} backtest --profile {target} --data {file} --split 0.8")
