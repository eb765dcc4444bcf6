"""`tidegate audit`: who did what, and whether somebody changed that afterwards."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.keys import moment
from cli.options import DbOption, JsonOption, period, print_json, settings_with
from tidegate.errors import ConfigError
from tidegate.words import count

if TYPE_CHECKING:
    from db.audit import Entry

app = typer.Typer(no_args_is_help=True, help="Check and print who did what.")
Head = Annotated[
    str,
    typer.Option(
        "--head", metavar="SEQ:HASH", help="What an earlier verify printed: it must still be there."
    ),
]
Since = Annotated[str, typer.Option("--since", metavar="DATE", help="Only from this day on (UTC).")]


@app.command()
def verify(head: Head = "", db: DbOption = "", as_json: JsonOption = False) -> None:
    """Compute the hash of every entry again; exit code 1 at the first that does not hold.

    Keep the printed head elsewhere: with it the next verify also finds out what was cut off at the
    end, or made anew as a whole.

    Example: [bold]tidegate audit verify --head 17:9f2c…[/bold]
    """
    from db.audit import verify as verify_all

    found = verify_all(settings_with(db=db).db_url, _known(head))
    printed = f"{found.entries}:{found.head.hex()}"
    if as_json:
        print_json({"entries": found.entries, "head": printed, "wrong": found.wrong})
    elif found.wrong is None:
        entries = count(found.entries, "entry", "entries")
        typer.echo(f"{entries} hold{'s' if found.entries == 1 else ''}; head {printed}")
    else:
        typer.echo(f"entry {found.wrong} is not as it was written, or is gone")
    if found.wrong is not None:
        raise typer.Exit(1)


@app.command()
def export(since: Since = "", db: DbOption = "") -> None:
    """Print the entries, oldest first, one JSON document a line.

    Example: [bold]tidegate audit export --since 2026-01-01[/bold]
    """
    from db.audit import export as entries

    since_us, _ = period(since, "")
    for entry in entries(settings_with(db=db).db_url, since_us or 0):
        typer.echo(json.dumps(_facts(entry)))


def _facts(entry: Entry) -> dict[str, Any]:
    return {
        **entry._asdict(),
        "at": moment(entry.at_us),
        "detail": json.loads(entry.detail),
        "hash": entry.hash.hex(),
    }


def _known(head: str) -> tuple[int, bytes] | None:
    if not head:
        return None
    found = re.fullmatch(r"([0-9]{1,18}):([0-9a-f]{64})", head)
    if not found:
        raise ConfigError(
            f"--head {head!r}: expected what `tidegate audit verify` prints, SEQ:HASH"
        )
    return (int(found[1]), bytes.fromhex(found[2])) if int(found[1]) else None
