"""`tidegate setup`: what the stages need before they start, checked at every start."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.options import DbOption, KafkaOption, ProfileOption, settings_with
from tidegate.errors import ConfigError, Retry

if TYPE_CHECKING:
    from collections.abc import Callable

    from tidegate.profile import Profile
    from tidegate.settings import Settings

_SECONDS = 60.0
Models = Annotated[
    Path | None,
    typer.Option(
        "--models", metavar="FOLDER", help="Take the first model from here instead of training one."
    ),
]

FirstKey = Annotated[
    Path | None,
    typer.Option(
        "--first-key",
        metavar="FILE",
        help="Where the API asks for keys and there never was one: write a first here (mode 0600).",
    ),
]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(setup)


def setup(
    profile: ProfileOption = "",
    kafka: KafkaOption = "",
    db: DbOption = "",
    models: Models = None,
    first_key: FirstKey = None,
) -> None:
    """Create topics and tables, and a first model if there is none.

    For clusters, where `tidegate up` does not run.

    Example: [bold]tidegate setup --kafka broker-1:9092 --db
    postgresql+psycopg://tidegate@db/tidegate[/bold]
    """
    from cli.running import steps
    from tidegate.profile import load_profile

    settings = settings_with(profile=profile, kafka=kafka, db=db)
    loaded = load_profile(settings.profile)
    settings.home.mkdir(parents=True, exist_ok=True)
    _insist("migrations", lambda: steps.migrate(settings))
    if first_key:
        _insist("first key", lambda: _make_first_key(settings, first_key))
    _insist("topics", lambda: steps.make_topics(settings))
    _insist("profile", lambda: _check_profile(settings, loaded))
    _first_bundle(settings, loaded, models)
    _insist("champion", lambda: _first_champion(settings, loaded))
    _insist("rules", lambda: steps.keep_own_rules(settings, loaded))


def _make_first_key(settings: Settings, file: Path) -> None:
    from cli.running.first_key import make_first_key

    if remark := make_first_key(settings, file):
        typer.echo(remark)


def _check_profile(settings: Settings, profile: Profile) -> None:
    from cli.running.handover import check_profile

    if remark := check_profile(settings, profile):
        typer.echo(remark, err=True)


def _first_champion(settings: Settings, profile: Profile) -> None:
    from cli.running import steps

    if warning := steps.promote_first(settings, profile):
        typer.echo(f"WARNING: {warning}", err=True)


def _insist(what: str, step: Callable[[], None]) -> None:
    """Do a step, and again while something is still starting.

    Raises Retry after 60 s.
    """
    deadline = time.monotonic() + _SECONDS
    while True:
        try:
            step()
        except Retry as error:
            if time.monotonic() > deadline:
                raise
            typer.echo(f"{what}: waiting: {error}", err=True)
            time.sleep(1.0)
        else:
            typer.echo(f"{what}: done")
            return


def _first_bundle(settings: Settings, profile: Profile, models: Path | None) -> None:
    from cli.running import steps
    from model.bundles.folder import place
    from model.bundles.manifest import MANIFEST, read_manifest
    from model.bundles.shared import shared_bundles
    from tidegate.host.spawn import tidegate

    if steps.has_bundle(settings, profile):
        return
    if models and (shipped := _shipped(models, profile)):
        names = [MANIFEST, *read_manifest(shipped).files]
        place(settings.bundles_dir, {name: (shipped / name).read_bytes() for name in names})
        if shared := shared_bundles(settings):
            shared.publish(shipped.name)
        typer.echo(f"model: {shipped.name} taken from {models}")
        return
    if subprocess.run(tidegate("train"), check=False).returncode:  # noqa: S603 - our own command
        raise ConfigError("training the first model failed: what it said stands above")


def _shipped(models: Path, profile: Profile) -> Path | None:
    """The newest bundle in a folder of bundles that may score for this profile, if there is one."""
    from model.bundles.catalog import entries, may_score

    for entry in entries(models):
        if entry.manifest and may_score(entry.manifest, profile):
            return models / entry.hash
    return None
