"""`tidegate profile`: look at a profile before it is used."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from cli.draft import draft
from cli.options import JsonOption, print_json
from tidegate.errors import ConfigError

if TYPE_CHECKING:
    from tidegate.profile import Profile

app = typer.Typer(no_args_is_help=True, help="Draft a profile from a file, or check one.")
app.command()(draft)
File = Annotated[
    str, typer.Argument(metavar="FILE", help="A profile file, or a name in profiles/.")
]

_TRIED = 1000
"""So many simulated transactions are made to see whether the profile takes them."""


@app.callback()
def _group() -> None:
    """Commands about profiles."""


@app.command()
def check(file: File, as_json: JsonOption = False) -> None:
    """Say what a profile amounts to, or where it is wrong (exit code 78): file, line, field,
    expectation.

    A file with its history is read as well, or the simulator tried.

    Example: [bold]tidegate profile check profiles/wallet.yaml[/bold]
    """
    from tidegate.profile import load_profile

    profile = load_profile(file)
    facts = {
        "name": profile.name,
        "hash": profile.hash.decode(),
        "version": profile.version.decode(),
        "path": str(profile.path),
        "fields": list(profile.fields),
        "entities": list(profile.entities),
        "features": list(profile.features),
        "models": list(profile.models.names),
        "history": _history(profile),
    }
    if as_json:
        print_json(facts)
        return
    for name, value in facts.items():
        typer.echo(f"{name:10} {', '.join(value) if isinstance(value, list) else value}")


def _history(profile: Profile) -> str:
    """What there is to train on.

    Raises ConfigError when the file is not as the profile says, or no simulator makes its fields.
    """
    if not profile.history.file:
        return _simulated(profile)
    from model.files.places import check as check_place
    from model.history.reading import read_history

    place = profile.history_place
    try:
        check_place(place)
    except ConfigError as error:
        return f"{error}: a first training needs it, or --history FILE"
    reading = read_history(profile, place)
    return "\n           ".join(filter(None, [*reading.sentences(), reading.warning()]))


def _simulated(profile: Profile) -> str:
    """A few are made, so that a training does not find out first that the profile refuses them."""
    from producers.simulator.history import simulated

    many = profile.history.simulate
    if not many:
        return "none is named: a first training needs --history FILE"
    simulated(profile, min(many, _TRIED))
    return f"{many:,} simulated transactions"
