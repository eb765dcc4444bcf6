"""`tidegate notify`: look at notify.yaml before it is used."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cli.options import JsonOption, print_json

app = typer.Typer(no_args_is_help=True, help="Check who is told of what.")
File = Annotated[Path, typer.Argument(metavar="FILE", help="The file that TIDEGATE_NOTIFY names.")]


@app.callback()
def _group() -> None:
    """Commands about notifications."""


@app.command()
def check(file: File, as_json: JsonOption = False) -> None:
    """Say what a notify.yaml amounts to, or where it is wrong (exit code 78): file, line,
    expectation.

    Nothing is sent. The secrets must be there, and are not shown.

    Example: [bold]tidegate notify check notify.yaml[/bold]
    """
    from tidegate.notify.config import load_config
    from tidegate.notify.described import described

    facts = described(load_config(file))
    if as_json:
        print_json(facts)
        return
    for channel in facts["channels"]:
        typer.echo(f"channel {channel['name']:<16}{channel['way']:<9}{channel['shown']}")
    for route in facts["routes"]:
        urgent = " (urgent)" if route["urgent"] else ""
        typer.echo(f"{', '.join(route['events'])} -> {', '.join(route['channels'])}{urgent}")
