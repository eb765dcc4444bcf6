"""`tidegate convert FILE`: a bank statement or payment messages into rows."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.options import JsonOption, day, print_json
from tidegate.words import count

if TYPE_CHECKING:
    from model.files.formats.convert import Converted
    from model.files.formats.entry import Told

Files = Annotated[
    list[Path],
    typer.Argument(
        metavar="FILE...",
        help="camt.05x, MT940, OFX, ISO 8583 as JSON or pacs.008; - for standard input.",
    ),
]
Out = Annotated[Path, typer.Option("--out", help="The rows, as .csv or .jsonl.")]
Format = Annotated[
    str, typer.Option("--format", help="Such as camt.053 or mt940; else found by looking.")
]
LastDay = Annotated[
    str,
    typer.Option(
        "--last-day",
        metavar="YYYY-MM-DD",
        help="ISO 8583: the day on which the file ends, since its dates have no year.",
    ),
]
Rejects = Annotated[
    Path | None,
    typer.Option("--rejects", help="Entries that are no rows; by default beside the rows."),
]

_SHOWN = 10


def convert(
    files: Files,
    out: Out,
    name: Format = "",
    last_day: LastDay = "",
    rejects: Rejects = None,
    as_json: JsonOption = False,
) -> None:
    """Write bank statements or payment messages as rows that `send` and `train` take.

    Exit code 1 when an entry cannot be read, or a total of the file does not agree with them.

    Example: [bold]tidegate convert statement.xml --out rows.csv[/bold]
    """
    from model.files.formats.convert import convert as write
    from model.files.streams import as_files

    with as_files(files) as sources:
        done = write(sources, out, name, day("--last-day", last_day), rejects)
    if as_json:
        import msgspec

        print_json(msgspec.to_builtins(done))
    else:
        typer.echo("\n".join(_words(done, out)))
    if not done.good:
        raise typer.Exit(1)


def _words(done: Converted, out: Path) -> list[str]:
    lines = [f"{', '.join(sorted(done.formats))}: {count(done.rows, 'row')} written to {out}"]
    lines += _told("WRONG", [told for told in done.told if not told.good])
    lines += _told("note", [told for told in done.told if told.good])
    if done.refused:
        reasons = ", ".join(f"{number:,} {reason}" for reason, number in done.refused.items())
        lines.append(f"no rows: {reasons}; listed in {done.rejects}, such as:")
        lines += [
            f"  {refused.place}: {refused.field or 'whole'}: {refused.detail}"
            for refused in done.first_refused
        ]
    return lines


def _told(word: str, told: list[Told]) -> list[str]:
    lines = [f"{word}: {one.place}: {one.words}" for one in told[:_SHOWN]]
    if len(told) > _SHOWN:
        lines.append(f"{word}: and {len(told) - _SHOWN:,} more like these: --json lists all")
    return lines
