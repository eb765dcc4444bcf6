"""`tidegate feedback`: the verdicts of a file."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Annotated

import typer

from cli.options import JsonOption, LabelOption, ProfileOption, print_json, settings_with
from cli.progress import progress_bar
from tidegate.errors import ConfigError

File = Annotated[
    Path,
    typer.Argument(metavar="FILE", help="CSV or Parquet with the ids and what is known of each."),
]
Source = Annotated[
    str, typer.Option("--source", help="Who says so; each source has a limit for an hour.")
]
Url = Annotated[
    str, typer.Option("--url", help="Address of the API; empty: TIDEGATE_HOST and TIDEGATE_PORT.")
]


def feedback(
    file: File,
    label: LabelOption = "",
    source: Source = "file",
    profile: ProfileOption = "",
    url: Url = "",
    as_json: JsonOption = False,
) -> None:
    """Post the verdicts of a file. Rows without one are passed over; the same file again changes
    nothing.

    Example: [bold]tidegate feedback chargebacks.csv --label is_fraud[/bold]
    """
    from model.history.verdict_files import read_verdicts
    from producers.client import Client
    from producers.files.verdicts import post_verdicts
    from tidegate.messages.documents import Verdict
    from tidegate.profile import load_profile

    settings = settings_with(profile=profile)
    known = read_verdicts(load_profile(settings.profile), file, label)
    if not known:
        raise ConfigError(f"{file} holds no verdict")
    digest = hashlib.sha256(file.read_bytes()).hexdigest()[:16]
    verdicts = [
        Verdict(name, "fraud" if fraud else "legitimate", f"{digest}-{name}", source)
        for name, fraud in known.items()
    ]
    with progress_bar("verdicts") as progress:
        post_verdicts(Client(url or f"http://{settings.host}:{settings.port}"), verdicts, progress)
    frauds = sum(known.values())
    if as_json:
        print_json({"verdicts": len(known), "frauds": frauds, "legitimate": len(known) - frauds})
    else:
        typer.echo(
            f"{len(known):,} verdicts: {frauds:,} frauds, {len(known) - frauds:,} legitimate"
        )
